//! What the macro writes, as files that people can read: `expansions/NAME.rs` is the input, and beside it
//! `NAME.expanded.rs` is what became of it.
//!
//! `EXPANSIONS=overwrite cargo test -p pipeline-macros` writes them anew; read the difference.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, File, Item, Meta};

use crate::compile;

/// What stands in place of each item that has a `#[stage]`.
fn expanded(input: &str) -> String {
    let file: File = syn::parse_str(input).expect("the input is Rust");
    let code: TokenStream = file.items.into_iter().map(expand).collect();
    let file: File = syn::parse2(code).expect("the expansion is Rust");
    spaced(&prettyplease::unparse(&file))
}

fn expand(mut item: Item) -> TokenStream {
    let attributes = match &mut item {
        Item::Fn(function) => &mut function.attrs,
        Item::Impl(block) => &mut block.attrs,
        _ => return item.into_token_stream(),
    };
    let is_ours = |attribute: &Attribute| attribute.path().is_ident("stage");
    let Some(place) = attributes.iter().position(is_ours) else {
        return item.into_token_stream();
    };
    let options = match attributes.remove(place).meta {
        Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    };
    compile(options, item.into_token_stream())
}

/// An empty line between items, as people write them.
fn spaced(code: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in code.lines() {
        let is_in_body = line.starts_with("        ");
        let before = lines.last().map_or("", |before| before.trim());
        let ends_item = before == "}" || before.ends_with(';');
        if !is_in_body && ends_item && line.trim() != "}" {
            lines.push("");
        }
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("expansions")
}

#[test]
fn expansions_are_as_they_were() {
    let overwrite = env::var_os("EXPANSIONS").is_some_and(|value| value == "overwrite");
    let mut seen = 0;
    for entry in fs::read_dir(folder()).expect("the folder of the expansions") {
        let path = entry.expect("a file").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        if name.ends_with(".expanded.rs") {
            continue;
        }
        let input = fs::read_to_string(&path).expect("the input");
        let now = expanded(&input);
        let output = path.with_extension("expanded.rs");
        if overwrite {
            fs::write(&output, now).expect("the expansion is written");
        } else {
            let before = fs::read_to_string(&output).unwrap_or_default();
            assert!(
                now == before,
                "{name} expands to something else than before, which was\n\n{before}\nand now is\n\n{now}\n\
                 to accept it: EXPANSIONS=overwrite cargo test -p pipeline-macros"
            );
        }
        seen += 1;
    }
    assert!(seen > 0, "no expansion was compared");
}

/// With `crate = ..` nothing is looked for elsewhere.
#[test]
fn the_path_of_the_library_is_the_one_that_was_given() {
    let everything = [
        "#[stage(crate = my::core, retry(backoff = \"1ms\"), timeout = \"1s\")]
         async fn a(#[state] b: &mut u8, #[state] c: &u8, #[state(init = f(&u8))] d: &mut u8, e: E) -> io::Result<u8> {}",
        "#[stage(crate = my::core, parallelism = \"cores\")] fn a<T>(t: T) -> T {}",
        "#[stage(crate = my::core, blocking)]
         impl A { fn process(&mut self, b: B) -> Result<B, C> {} fn open(&mut self) {} fn close(self) {} }",
        // refused
        "#[stage(crate = my::core)] async fn a(b: &B) -> B {}",
        "#[stage(crate = my::core)] impl A { fn process(&mut self) -> B {} }",
    ];
    for input in everything {
        let item: Item = syn::parse_str(input).expect("the input is Rust");
        let code = expand(item).to_string();
        assert!(code.contains("my :: core"), "{code}");
        assert!(!code.contains("pipeline_core"), "{code}");
    }
}
