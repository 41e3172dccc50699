//! The options in `#[stage(..)]`.

use std::time::Duration;

use darling::{FromMeta, ast::NestedMeta};
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, ExprLit, Ident, Lit, LitInt, LitStr, Meta, Path, spanned::Spanned};

use super::duration;
use crate::mistakes::Mistakes;

/// What was set, with the words that set it. What could not be read is not here, but a mistake.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) parallelism: Option<Set<Count>>,
    pub(crate) ordered: Option<Set<Word>>,
    pub(crate) unordered: Option<Set<Word>>,
    pub(crate) keyed: Option<Set<Key>>,
    pub(crate) window: Option<Set<Count>>,
    pub(crate) timeout: Option<Set<Time>>,
    pub(crate) attempt_timeout: Option<Set<Time>>,
    pub(crate) retry: Option<Set<Retry>>,
    pub(crate) blocking: Option<Set<Word>>,
    pub(crate) fallible: Option<Set<Word>>,
    pub(crate) infallible: Option<Set<Word>>,
    pub(crate) type_name: Option<Ident>,
    pub(crate) crate_path: Option<Path>,
}

/// All there are, for whoever wrote another one.
const OPTIONS: &[&str] = &[
    "name",
    "parallelism",
    "ordered",
    "unordered",
    "keyed",
    "window",
    "timeout",
    "attempt_timeout",
    "retry",
    "blocking",
    "fallible",
    "infallible",
    "type",
    "crate",
];

const RETRY_OPTIONS: &[&str] = &["backoff", "fixed", "max", "max_delay", "jitter", "panics"];

/// A value, and where the option was written.
#[derive(Debug)]
pub(crate) struct Set<T> {
    pub(crate) value: T,
    /// The name of the option.
    pub(crate) option: Ident,
}

/// It stands alone.
#[derive(Debug)]
pub(crate) struct Word;

/// A function of a reference to the item.
#[derive(Debug)]
pub(crate) struct Key(pub(crate) Expr);

/// A number of items.
#[derive(Debug)]
pub(crate) enum Count {
    Number(LitInt),
    Cores,
    /// A constant, say.
    Expression(Expr),
}

#[derive(Debug)]
pub(crate) enum Time {
    Literal(LitStr, Duration),
    Expression(Expr),
}

#[derive(Debug)]
pub(crate) enum Retry {
    Options(Box<RetryOptions>),
    Expression(Expr),
}

/// `retry(backoff = "50ms", max = 3)`
#[derive(Debug, Default)]
pub(crate) struct RetryOptions {
    pub(crate) backoff: Option<Set<Time>>,
    pub(crate) fixed: Option<Set<Time>>,
    pub(crate) max: Option<Set<Count>>,
    pub(crate) max_delay: Option<Set<Time>>,
    pub(crate) jitter: Option<Set<Word>>,
    pub(crate) panics: Option<Set<Word>>,
}

/// What the user says a function returns, whatever its type is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    Result,
    Item,
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream, mistakes: &mut Mistakes) -> Self {
        let mut options = Options::default();
        each(tokens, OPTIONS, mistakes, |name, meta| match name {
            "name" => set_plain(&mut options.name, meta, text),
            "parallelism" => set(&mut options.parallelism, meta),
            "ordered" => set(&mut options.ordered, meta),
            "unordered" => set(&mut options.unordered, meta),
            "keyed" => set(&mut options.keyed, meta),
            "window" => set(&mut options.window, meta),
            "timeout" => set(&mut options.timeout, meta),
            "attempt_timeout" => set(&mut options.attempt_timeout, meta),
            "retry" => set(&mut options.retry, meta),
            "blocking" => set(&mut options.blocking, meta),
            "fallible" => set(&mut options.fallible, meta),
            "infallible" => set(&mut options.infallible, meta),
            "type" => set_plain(&mut options.type_name, meta, |meta| {
                let name = path(meta, "type = Decode")?;
                let named = name.get_ident().cloned();
                named.ok_or_else(|| wrong(&name, "this is not the name of a type", "type = Decode"))
            }),
            _ => set_plain(&mut options.crate_path, meta, |meta| {
                path(meta, "crate = my_library::pipeline")
            }),
        });
        options
    }

    pub(crate) fn returns(&self) -> Option<Returns> {
        match (&self.fallible, &self.infallible) {
            (Some(_), None) => Some(Returns::Result),
            (None, Some(_)) => Some(Returns::Item),
            _ => None,
        }
    }
}

/// Gives each option of the list to `set`; those that do not exist are mistakes.
fn each(
    tokens: TokenStream,
    known: &[&str],
    mistakes: &mut Mistakes,
    mut set: impl FnMut(&str, &Meta) -> darling::Result<()>,
) {
    let list = match NestedMeta::parse_meta_list(tokens) {
        Ok(list) => list,
        Err(error) => return mistakes.found(error),
    };
    let mut errors = darling::Error::accumulator();
    for option in list {
        let NestedMeta::Meta(meta) = &option else {
            errors.push(wrong(&option, "this is not an option", "parallelism = 16"));
            continue;
        };
        let name = meta.path().to_token_stream().to_string();
        if known.contains(&name.as_str()) {
            errors.handle(set(&name, meta));
        } else {
            errors.push(unknown(meta.path(), &name, known));
        }
    }
    if let Err(found) = errors.finish() {
        told(found, mistakes);
    }
}

fn told(found: darling::Error, mistakes: &mut Mistakes) {
    for error in found.flatten() {
        mistakes.found(syn::Error::new(error.span(), error));
    }
}

fn unknown(place: &Path, name: &str, known: &[&str]) -> darling::Error {
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    let text = match nearest {
        Some((_, nearest)) => format!("unknown option `{name}`\nwrite `{nearest}`"),
        None => format!(
            "unknown option `{name}`\nwrite one of `{}`",
            known.join("`, `")
        ),
    };
    darling::Error::custom(text).with_span(place)
}

/// What is wrong, and an example of what is right.
fn wrong(place: &impl Spanned, what: &str, write: &str) -> darling::Error {
    darling::Error::custom(format!("{what}\nwrite `{write}`")).with_span(place)
}

fn set<T: FromMeta>(place: &mut Option<Set<T>>, meta: &Meta) -> darling::Result<()> {
    set_plain(place, meta, |meta| {
        Ok(Set {
            option: option_name(meta),
            value: T::from_meta(meta)?,
        })
    })
}

fn set_plain<T>(
    place: &mut Option<T>,
    meta: &Meta,
    read: impl FnOnce(&Meta) -> darling::Result<T>,
) -> darling::Result<()> {
    if place.is_some() {
        let text = format!("`{}` is set twice\nwrite it once", option_name(meta));
        return Err(darling::Error::custom(text).with_span(meta));
    }
    *place = Some(read(meta)?);
    Ok(())
}

fn option_name(meta: &Meta) -> Ident {
    let span = meta.path().span();
    match meta.path().get_ident() {
        Some(name) => name.clone(),
        None => Ident::new("option", span),
    }
}

/// The value after `=`. `example` is for whoever wrote none.
fn value<'meta>(meta: &'meta Meta, example: &str) -> darling::Result<&'meta Expr> {
    match meta {
        Meta::NameValue(pair) => Ok(&pair.value),
        _ => {
            let what = format!("`{}` takes a value", option_name(meta));
            Err(wrong(meta, &what, example))
        }
    }
}

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

fn text(meta: &Meta) -> darling::Result<LitStr> {
    const EXAMPLE: &str = "name = \"decode\"";
    let value = value(meta, EXAMPLE)?;
    match literal(value) {
        Some(Lit::Str(text)) if !text.value().trim().is_empty() => Ok(text.clone()),
        Some(Lit::Str(_)) => Err(wrong(
            value,
            "the name is empty, and errors and reports would not say which stage it is",
            EXAMPLE,
        )),
        _ => Err(wrong(value, "a name is a string", EXAMPLE)),
    }
}

fn path(meta: &Meta, example: &str) -> darling::Result<Path> {
    let value = value(meta, example)?;
    match value {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path.clone()),
        other => {
            let what = format!("`{}` takes a path", option_name(meta));
            Err(wrong(other, &what, example))
        }
    }
}

impl FromMeta for Word {
    fn from_meta(meta: &Meta) -> darling::Result<Self> {
        match meta {
            Meta::Path(_) => Ok(Word),
            _ => {
                let option = option_name(meta);
                let what = format!("`{option}` takes no value");
                Err(wrong(meta, &what, &option.to_string()))
            }
        }
    }
}

impl FromMeta for Key {
    fn from_meta(meta: &Meta) -> darling::Result<Self> {
        const EXAMPLE: &str = "keyed = |event| event.user";
        let value = value(meta, EXAMPLE)?;
        match literal(value) {
            Some(_) => Err(wrong(
                value,
                "a key is what a function makes of a reference to the item",
                EXAMPLE,
            )),
            None => Ok(Key(value.clone())),
        }
    }
}

impl FromMeta for Count {
    fn from_meta(meta: &Meta) -> darling::Result<Self> {
        let option = option_name(meta);
        let value = value(meta, &format!("{option} = 16"))?;
        match literal(value) {
            Some(Lit::Int(number)) if number.base10_parse::<u128>().is_ok_and(|n| n == 0) => {
                let what = match &*option.to_string() {
                    "parallelism" => "a stage of parallelism 0 would work on nothing",
                    "window" => "a stage with a window of 0 would take nothing in",
                    _ => "a retry of 0 attempts is none",
                };
                let write = match &*option.to_string() {
                    "max" => "max = 3`, or leave `retry` out",
                    "window" => "window = 1024`, or leave it out for the default",
                    _ => "parallelism = 1`, or leave it out for the default",
                };
                let text = format!("{what}\nwrite `{write}");
                Err(darling::Error::custom(text).with_span(value))
            }
            Some(Lit::Int(number)) => Ok(Count::Number(number.clone())),
            Some(Lit::Str(text)) if option == "parallelism" && text.value() == "cores" => {
                Ok(Count::Cores)
            }
            Some(_) if option == "parallelism" => Err(wrong(
                value,
                "`parallelism` is a number of items, or \"cores\"",
                "parallelism = 16`, or `parallelism = \"cores\"",
            )),
            Some(_) => {
                let what = format!("`{option}` is a number");
                Err(wrong(value, &what, &format!("{option} = 16")))
            }
            None => Ok(Count::Expression(value.clone())),
        }
    }
}

impl FromMeta for Time {
    fn from_meta(meta: &Meta) -> darling::Result<Self> {
        let option = option_name(meta);
        let example = format!("{option} = \"250ms\"");
        let value = value(meta, &example)?;
        let refuse = |what: String| {
            let units = "(units: `ns`, `us`, `ms`, `s`, `m`, `h`)";
            let text = format!("{what}\nwrite a number with its unit, `{example}` {units}");
            Err(darling::Error::custom(text).with_span(value))
        };
        match literal(value) {
            Some(Lit::Str(text)) => match duration::parse(&text.value()) {
                Ok(Duration::ZERO) if option.to_string().ends_with("timeout") => {
                    refuse("no item is done in no time".to_owned())
                }
                Ok(duration) => Ok(Time::Literal(text.clone(), duration)),
                Err(reason) => refuse(format!("this is not a duration: {reason}")),
            },
            Some(Lit::Int(number)) => {
                refuse(format!("a duration has a unit, and `{number}` has none"))
            }
            Some(_) => refuse("this is not a duration".to_owned()),
            None => Ok(Time::Expression(value.clone())),
        }
    }
}

impl FromMeta for Retry {
    fn from_meta(meta: &Meta) -> darling::Result<Self> {
        const EXAMPLE: &str = "retry(backoff = \"50ms\")";
        let list = match meta {
            Meta::List(list) => list,
            Meta::NameValue(pair) if literal(&pair.value).is_none() => {
                return Ok(Retry::Expression(pair.value.clone()));
            }
            _ => {
                let what = "`retry` needs to know how long to wait before another attempt";
                return Err(wrong(meta, what, EXAMPLE));
            }
        };
        let mut options = RetryOptions::default();
        let mut mistakes = Mistakes::default();
        each(
            list.tokens.clone(),
            RETRY_OPTIONS,
            &mut mistakes,
            |name, meta| match name {
                "backoff" => set(&mut options.backoff, meta),
                "fixed" => set(&mut options.fixed, meta),
                "max" => set(&mut options.max, meta),
                "max_delay" => set(&mut options.max_delay, meta),
                "jitter" => set(&mut options.jitter, meta),
                _ => set(&mut options.panics, meta),
            },
        );
        let found: Vec<_> = mistakes.into_iter().map(darling::Error::from).collect();
        if !found.is_empty() {
            return Err(darling::Error::multiple(found));
        }
        match (&options.backoff, &options.fixed) {
            (None, None) => Err(wrong(
                meta,
                "`retry` needs to know how long to wait before another attempt",
                "retry(backoff = \"50ms\")`, which doubles it each time, or `retry(fixed = \"50ms\")",
            )),
            (Some(_), Some(fixed)) => Err(wrong(
                &fixed.option,
                "pauses double (`backoff`) or stay the same (`fixed`), not both",
                EXAMPLE,
            )),
            _ => Ok(Retry::Options(Box::new(options))),
        }
    }
}
