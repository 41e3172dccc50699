//! The attribute `#[stage]` of `pipeline-core`, which makes a stage of a function.
//!
//! A small compiler, a file a step: `parse` reads what the user wrote into the `model`, `validate`
//! refuses what cannot work, `expand` prints the rest, and `fallback` prints what keeps the user's
//! file compiling when something was refused.

mod expand;
#[cfg(test)]
mod expansions;
mod fallback;
mod mistakes;
mod model;
mod parse;
mod validate;

use proc_macro::TokenStream;

use self::{
    mistakes::Mistakes,
    model::{Block, Function},
    parse::{Input, Options},
};

#[doc = include_str!("stage.md")]
#[proc_macro_attribute]
pub fn stage(options: TokenStream, item: TokenStream) -> TokenStream {
    compile(options.into(), item.into()).into()
}

fn compile(
    options: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut mistakes = Mistakes::default();
    let options = Options::parse(options, &mut mistakes);
    let code = match parse::item(&item, &mut mistakes) {
        Some(Input::Function(syntax)) => {
            let function = Function::new(options, *syntax);
            let before = mistakes.len();
            validate::function(&function, &mut mistakes);
            if mistakes.len() == before {
                expand::function(&function)
            } else {
                fallback::function(&function)
            }
        }
        Some(Input::Block(syntax)) => {
            let block = Block::new(options, *syntax);
            let before = mistakes.len();
            validate::block(&block, &mut mistakes);
            if mistakes.len() == before {
                expand::block(&block)
            } else {
                fallback::block(&block)
            }
        }
        None => item,
    };
    mistakes.and(code)
}
