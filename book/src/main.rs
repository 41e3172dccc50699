//! Serves the guide on this machine, or builds it: `cargo run -p book`, `cargo run -p book -- build`.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use book::{
    options::{self, Command},
    render, serve,
};

const FAILED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match options::parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("{error} (--help lists the options)");
            return USAGE.into();
        }
    };
    if command == Command::Help {
        let _ = io::stdout().write_all(options::HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            FAILED.into()
        }
    }
}

fn run(command: &Command) -> Result<(), String> {
    let folder = render::folder();
    render::build(&folder).map_err(|error| format!("{error:#}"))?;
    if let Command::Serve(port) = *command {
        return serve::serve(&folder, port, |address| println!("http://{address}"));
    }
    println!("{}", folder.join("index.html").display());
    Ok(())
}
