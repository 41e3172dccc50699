#[stage]
pub fn parse(line: String) -> Result<u64, ParseIntError> {
    line.trim().parse()
}
