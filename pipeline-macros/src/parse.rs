//! Reads what the user wrote.

mod duration;
mod options;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Attribute, FnArg, Item, ItemImpl, Meta, PatType, Path, Receiver, Signature, Token, Type,
    Visibility, parenthesized,
    parse::{Parse, ParseStream, Parser},
};

pub(crate) use self::options::{Count, Key, Options, Retry, Returns, Time};
use crate::mistakes::Mistakes;

/// What the attribute stands on.
#[derive(Debug)]
pub(crate) enum Input {
    Function(Box<FunctionSyntax>),
    Block(Box<ItemImpl>),
}

/// A function. Its body is not looked at, so that one that is still being written is no mistake.
#[derive(Debug)]
pub(crate) struct FunctionSyntax {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    /// Without the `#[state]`s.
    pub(crate) signature: Signature,
    pub(crate) receiver: Option<Receiver>,
    /// Each with its `#[state]`, if it has one.
    pub(crate) parameters: Vec<(PatType, Option<StateAttribute>)>,
    pub(crate) body: TokenStream,
}

/// `#[state]` or `#[state(init = ..)]`.
#[derive(Debug, Clone)]
pub(crate) struct StateAttribute {
    pub(crate) init: Option<Init>,
}

/// `connect`, or `connect(&Config)`.
#[derive(Debug, Clone)]
pub(crate) struct Init {
    pub(crate) function: Path,
    /// What `new` takes and `function` is given.
    pub(crate) from: Option<Type>,
}

/// `None` if it is neither a function nor an `impl` block.
pub(crate) fn item(item: &TokenStream, mistakes: &mut Mistakes) -> Option<Input> {
    let read = |input: ParseStream<'_>| {
        let ahead = input.fork();
        ahead.call(Attribute::parse_outer)?;
        if ahead.peek(Token![impl]) || ahead.peek(Token![unsafe]) && ahead.peek2(Token![impl]) {
            return input.parse().map(Input::Block);
        }
        ahead.parse::<Visibility>()?;
        ahead.parse::<Signature>()?;
        function(input).map(|function| Input::Function(Box::new(function)))
    };
    match read.parse2(item.clone()) {
        Ok(Input::Function(mut function)) => {
            read_states(&mut function, mistakes);
            Some(Input::Function(function))
        }
        Ok(block) => Some(block),
        Err(error) => {
            match syn::parse2::<Item>(item.clone()) {
                Ok(Item::Fn(_) | Item::Impl(_)) | Err(_) => mistakes.found(error),
                Ok(other) => refuse(&other, mistakes),
            }
            None
        }
    }
}

fn refuse(item: &Item, mistakes: &mut Mistakes) {
    let (kind, name) = match item {
        Item::Struct(item) => ("a struct", Some(&item.ident)),
        Item::Enum(item) => ("an enum", Some(&item.ident)),
        Item::Union(item) => ("a union", Some(&item.ident)),
        Item::Trait(item) => ("a trait", Some(&item.ident)),
        Item::Mod(item) => ("a module", Some(&item.ident)),
        _ => ("neither", None),
    };
    let write = match (item, name) {
        (Item::Struct(_) | Item::Enum(_) | Item::Union(_), Some(name)) => {
            format!("write it over `impl {name} {{ async fn process(&mut self, item: ..) -> .. }}`")
        }
        _ => "write it over the function that works on an item".to_owned(),
    };
    let what = format!("`#[stage]` is for a function or an `impl` block, and this is {kind}");
    match name {
        Some(name) => mistakes.add(name, what, write),
        None => mistakes.add(item, what, write),
    }
}

fn function(input: ParseStream<'_>) -> syn::Result<FunctionSyntax> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility = input.parse()?;
    let signature = input.parse()?;
    let body = input.parse()?;
    Ok(FunctionSyntax {
        attributes,
        visibility,
        signature,
        receiver: None,
        parameters: Vec::new(),
        body,
    })
}

/// Takes the `#[state]`s off the parameters.
fn read_states(function: &mut FunctionSyntax, mistakes: &mut Mistakes) {
    for input in &mut function.signature.inputs {
        let parameter = match input {
            FnArg::Receiver(receiver) => {
                function.receiver = Some(receiver.clone());
                continue;
            }
            FnArg::Typed(parameter) => parameter,
        };
        let mut state: Option<StateAttribute> = None;
        parameter.attrs.retain(|attribute| {
            if !attribute.path().is_ident("state") {
                return true;
            }
            if state.is_some() {
                mistakes.add(attribute, "`#[state]` is here twice", "write it once");
                return false;
            }
            let init = init(attribute).unwrap_or_else(|error| {
                let what = format!("this is not what `#[state]` takes: {error}");
                let write = "write `#[state]`, `#[state(init = connect)]` or \
                             `#[state(init = connect(&Config))]`";
                mistakes.add(attribute, what, write);
                None
            });
            state = Some(StateAttribute { init });
            false
        });
        function.parameters.push((parameter.clone(), state));
    }
}

fn init(attribute: &Attribute) -> syn::Result<Option<Init>> {
    match &attribute.meta {
        Meta::Path(_) => Ok(None),
        _ => attribute.parse_args().map(Some),
    }
}

impl Parse for Init {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let option: syn::Ident = input.parse()?;
        if option != "init" {
            return Err(syn::Error::new_spanned(
                &option,
                format!("unknown option `{option}`"),
            ));
        }
        input.parse::<Token![=]>()?;
        let function = input.call(Path::parse_mod_style)?;
        let from = if input.is_empty() {
            None
        } else {
            let inside;
            parenthesized!(inside in input);
            let from = inside.parse()?;
            if !inside.is_empty() {
                return Err(inside.error("it is given one value at most"));
            }
            Some(from)
        };
        Ok(Init { function, from })
    }
}

impl ToTokens for FunctionSyntax {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attribute in &self.attributes {
            attribute.to_tokens(tokens);
        }
        self.visibility.to_tokens(tokens);
        self.signature.to_tokens(tokens);
        tokens.extend(self.body.clone());
    }
}
