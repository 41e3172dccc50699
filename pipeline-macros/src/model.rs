//! What is known of a stage. Keeps the user's words, so that every message and every type has their
//! place; says nothing of whether they make sense.

use quote::{ToTokens, format_ident};
use syn::{
    GenericArgument, Ident, ImplItem, ImplItemFn, ItemImpl, Pat, PatType, Path, PathArguments,
    ReturnType, Signature, Type, TypeReference, ext::IdentExt, parse_quote,
};

use crate::parse::{FunctionSyntax, Options, Returns, StateAttribute};

/// A stage made of a function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) options: Options,
    /// As it was written, without the `#[state]`s.
    pub(crate) syntax: FunctionSyntax,
    /// The name of the type.
    pub(crate) stage: Ident,
    /// The parameters with `#[state]`, in their order.
    pub(crate) states: Vec<State>,
    /// The other ones: exactly one, if the user made no mistake.
    pub(crate) items: Vec<PatType>,
    pub(crate) output: Output,
    /// There is another one of the name of the type, as far as can be seen from here.
    pub(crate) is_taken: bool,
}

/// A parameter with `#[state]`.
#[derive(Debug)]
pub(crate) struct State {
    /// The parameter and the field.
    pub(crate) name: Ident,
    /// What is behind the reference.
    pub(crate) ty: Type,
    pub(crate) kind: StateKind,
    pub(crate) attribute: StateAttribute,
    pub(crate) original: PatType,
    /// An item stands before it.
    pub(crate) late: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateKind {
    /// `&mut T`: of each worker.
    Local,
    /// `&T`: of all of them, in an `Arc`.
    Shared,
    /// `&'static T`: kept as it is.
    Static,
    /// Not a reference.
    Value,
}

/// What a body gives.
#[derive(Debug)]
pub(crate) enum Output {
    /// No type is written.
    Nothing,
    /// An item.
    Item(Type),
    /// A `Result` with an item.
    Result(Type),
    /// The same, with both types written out.
    Both(Type, Box<(Type, Type)>),
}

/// A stage made of an `impl` block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) options: Options,
    pub(crate) syntax: ItemImpl,
    pub(crate) process: Option<Method>,
    pub(crate) open: Option<Method>,
    pub(crate) close: Option<Method>,
}

/// A function of the block that has a part in the trait.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) signature: Signature,
    /// The parameters, but for `self`.
    pub(crate) items: Vec<PatType>,
    pub(crate) output: Output,
}

impl Function {
    pub(crate) fn new(options: Options, syntax: FunctionSyntax) -> Self {
        let stage = options
            .type_name
            .clone()
            .unwrap_or_else(|| type_name(&syntax.signature.ident));
        let mut states = Vec::new();
        let mut items = Vec::new();
        for (parameter, attribute) in &syntax.parameters {
            match attribute {
                Some(attribute) => states.push(State::new(
                    parameter,
                    attribute,
                    states.len(),
                    !items.is_empty(),
                )),
                None => items.push(parameter.clone()),
            }
        }
        without_underscores(&mut states);
        let output = Output::new(&syntax.signature.output, options.returns());
        let types = items.iter().map(|item| &*item.ty);
        let types = types.chain(states.iter().map(|state| &state.ty));
        let is_taken = types
            .chain(output.ty())
            .flat_map(plain_names)
            .any(|name| name == stage);
        Function {
            options,
            syntax,
            stage,
            states,
            items,
            output,
            is_taken,
        }
    }
}

/// `_log` is not used by the function, but the field is.
fn without_underscores(states: &mut [State]) {
    let mut names: Vec<_> = states.iter().map(|state| state.name.clone()).collect();
    for state in states {
        let text = state.name.to_string();
        if let Ok(mut name) = syn::parse_str::<Ident>(text.trim_start_matches('_'))
            && !names.contains(&name)
        {
            name.set_span(state.name.span());
            names.push(name.clone());
            state.name = name;
        }
    }
}

impl State {
    fn new(parameter: &PatType, attribute: &StateAttribute, place: usize, late: bool) -> Self {
        let name = match &*parameter.pat {
            Pat::Ident(pattern) => pattern.ident.clone(),
            _ => format_ident!("state_{place}"),
        };
        let (kind, ty) = match peeled(&parameter.ty) {
            Type::Reference(TypeReference {
                mutability: Some(_),
                elem,
                ..
            }) => (StateKind::Local, peeled(elem).clone()),
            Type::Reference(TypeReference { lifetime, elem, .. }) => {
                let is_static = lifetime.as_ref().is_some_and(|name| name.ident == "static");
                let kind = if is_static {
                    StateKind::Static
                } else {
                    StateKind::Shared
                };
                (kind, peeled(elem).clone())
            }
            other => (StateKind::Value, other.clone()),
        };
        State {
            name,
            ty,
            kind,
            attribute: attribute.clone(),
            original: parameter.clone(),
            late,
        }
    }
}

impl Output {
    pub(crate) fn new(output: &ReturnType, returns: Option<Returns>) -> Self {
        let ReturnType::Type(_, ty) = output else {
            return Output::Nothing;
        };
        let whole = (**ty).clone();
        match returns {
            Some(Returns::Result) => Output::Result(whole),
            Some(Returns::Item) => Output::Item(whole),
            None if !is_named_result(ty) => Output::Item(whole),
            None => match item_and_error(ty) {
                Some(both) => Output::Both(whole, Box::new(both)),
                None => Output::Result(whole),
            },
        }
    }

    /// As it is written.
    pub(crate) fn ty(&self) -> Option<&Type> {
        match self {
            Output::Nothing => None,
            Output::Item(ty) | Output::Result(ty) | Output::Both(ty, _) => Some(ty),
        }
    }

    pub(crate) fn is_result(&self) -> bool {
        matches!(self, Output::Result(_) | Output::Both(..))
    }
}

impl Block {
    pub(crate) fn new(options: Options, syntax: ItemImpl) -> Self {
        let method = |name| {
            let function = functions(&syntax).find(|function| function.sig.ident == name)?;
            let items = function.sig.inputs.iter().filter_map(|input| match input {
                syn::FnArg::Typed(parameter) => Some(parameter.clone()),
                syn::FnArg::Receiver(_) => None,
            });
            // the option is about what `process` returns
            let returns = options.returns().filter(|_| name == "process");
            Some(Method {
                signature: function.sig.clone(),
                items: items.collect(),
                output: Output::new(&function.sig.output, returns),
            })
        };
        let (process, open, close) = (method("process"), method("open"), method("close"));
        Block {
            options,
            syntax,
            process,
            open,
            close,
        }
    }
}

impl Method {
    pub(crate) fn is_async(&self) -> bool {
        self.signature.asyncness.is_some()
    }
}

fn functions(block: &ItemImpl) -> impl Iterator<Item = &ImplItemFn> {
    block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) => Some(function),
        _ => None,
    })
}

/// `Result`, `io::Result`, `IoResult`: what a type is called says what it is, as there is no other way
/// for a macro to know.
fn is_named_result(ty: &Type) -> bool {
    match peeled(ty) {
        Type::Path(path) => last_name(&path.path).is_some_and(|name| name.ends_with("Result")),
        _ => false,
    }
}

/// Of a type that is written `Result<Item, Error>`, and not by another name.
fn item_and_error(ty: &Type) -> Option<(Type, Type)> {
    let Type::Path(path) = peeled(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let mut types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    let both = (types.next()??, types.next()??);
    (last.ident == "Result" && types.next().is_none()).then_some(both)
}

fn last_name(path: &Path) -> Option<String> {
    Some(path.segments.last()?.ident.to_string())
}

/// Without parentheses, and the invisible ones of macros.
pub(crate) fn peeled(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => peeled(&inner.elem),
        Type::Group(inner) => peeled(&inner.elem),
        other => other,
    }
}

/// The names in `ty` that are looked up where the stage is: `Event` of `Result<Event, io::Error>`.
fn plain_names(ty: &Type) -> Vec<Ident> {
    let Type::Path(path) = peeled(ty) else {
        return Vec::new();
    };
    let segments = &path.path.segments;
    let is_plain = segments.len() == 1 && path.path.leading_colon.is_none();
    let own = segments.first().filter(|_| is_plain);
    let inside = segments
        .iter()
        .flat_map(|segment| match &segment.arguments {
            PathArguments::AngleBracketed(arguments) => arguments.args.iter().collect(),
            _ => Vec::new(),
        });
    let inside = inside.flat_map(|argument| match argument {
        GenericArgument::Type(ty) => plain_names(ty),
        _ => Vec::new(),
    });
    own.map(|segment| segment.ident.clone())
        .into_iter()
        .chain(inside)
        .collect()
}

/// `DecodeV2` for `decode_v2`.
fn type_name(function: &Ident) -> Ident {
    let text = function.unraw().to_string();
    let words = text.split('_');
    let mut name = String::new();
    for word in words {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            name.extend(first.to_uppercase());
            name.push_str(letters.as_str());
        }
    }
    if name
        .chars()
        .next()
        .is_none_or(|first| first.is_ascii_digit())
    {
        name.insert_str(0, "Stage");
    }
    if name == "Self" {
        // of `self_`
        name.push('_');
    }
    Ident::new(&name, function.span())
}

/// `()`, for what is not known.
pub(crate) fn unit() -> Type {
    parse_quote!(())
}

/// Values of this type cannot be kept by value.
pub(crate) fn has_no_size(ty: &Type) -> bool {
    match peeled(ty) {
        Type::Slice(_) | Type::TraitObject(_) => true,
        Type::Path(path) => path.path.is_ident("str"),
        _ => false,
    }
}

/// As people write it.
pub(crate) fn words(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, tight) in [
        (" :: ", "::"),
        (":: ", "::"),
        ("& ", "&"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :", ":"),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}
