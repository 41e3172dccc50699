//! Refuses what cannot work: a function for each rule. Each says what is wrong and why, at the words
//! that it is about, and what to write.

use quote::ToTokens;
use syn::{
    Attribute, FnArg, GenericParam, Generics, Lifetime, ParenthesizedGenericArguments, Pat,
    PatType, Receiver, ReceiverKind, Safety, Signature, Type, TypeFnPtr, TypeImplTrait,
    TypeReference, WherePredicate,
    visit::{self, Visit},
};

use crate::{
    mistakes::Mistakes,
    model::{Block, Function, Method, Output, State, StateKind, has_no_size, peeled, words},
    parse::{Count, Options},
};

pub(crate) fn function(function: &Function, mistakes: &mut Mistakes) {
    let signature = &function.syntax.signature;
    check_no_self(function.syntax.receiver.as_ref(), mistakes);
    check_safe(signature, mistakes);
    check_lifetimes_of_bounds(&signature.generics, mistakes);
    check_attributes_of_parameters(signature, mistakes);
    for state in &function.states {
        check_state_is_a_reference(state, mistakes);
        check_state_has_a_name(state, mistakes);
        check_state_stands_first(state, mistakes);
        check_state_has_a_size(state, mistakes);
        check_init_is_local(state, mistakes);
        check_type(&state.ty, "state", mistakes);
        if let Some(from) = state
            .attribute
            .init
            .as_ref()
            .and_then(|init| init.from.as_ref())
        {
            check_what_init_is_given(from, mistakes);
        }
    }
    let stage = format!("`{}`", signature.ident);
    if function.syntax.receiver.is_none() {
        check_one_item(&function.items, signature, &stage, mistakes);
    }
    check_output(&function.output, signature, mistakes);
    check_name(function, mistakes);
    check_options(&function.options, mistakes);
    if let (Some(_), Some(word)) = (&function.options.blocking, &signature.asyncness) {
        check_not_async(word, mistakes);
    }
}

pub(crate) fn block(block: &Block, mistakes: &mut Mistakes) {
    check_own_block(block, mistakes);
    check_no_names_for_blocks(&block.options, mistakes);
    check_options(&block.options, mistakes);
    match &block.process {
        None => mistakes.add(
            &block.syntax.self_ty,
            "a stage works on items, and there is no `process` here",
            "write `async fn process(&mut self, item: ..) -> ..` in this block",
        ),
        Some(process) => {
            let signature = &process.signature;
            check_receiver(signature, true, "process", mistakes);
            check_safe(signature, mistakes);
            check_no_generics(signature, "process", mistakes);
            check_no_states(process, mistakes);
            check_one_item(&process.items, signature, "`process`", mistakes);
            check_output(&process.output, signature, mistakes);
            if let (Some(_), Some(word)) = (&block.options.blocking, &signature.asyncness) {
                check_not_async(word, mistakes);
            }
        }
    }
    for (name, method) in [("open", &block.open), ("close", &block.close)] {
        if let Some(method) = method {
            check_receiver(&method.signature, name == "open", name, mistakes);
            check_no_generics(&method.signature, name, mistakes);
            check_nothing_taken(method, name, mistakes);
            check_nothing_given(method, name, mistakes);
        }
    }
}

fn check_no_self(receiver: Option<&Receiver>, mistakes: &mut Mistakes) {
    if let Some(receiver) = receiver {
        mistakes.add(
            receiver,
            "a stage that is a function has no `self`: its state is parameters with `#[state]`",
            "write `#[stage]` over the `impl` block, and call this `process`, for a stage with fields",
        );
    }
}

fn check_safe(signature: &Signature, mistakes: &mut Mistakes) {
    if let Safety::Unsafe(word) = &signature.safety {
        mistakes.add(
            word,
            "a stage is called by the library, which knows nothing of what an `unsafe fn` asks for",
            "write a safe function around it",
        );
    }
}

/// The parameters of a function have attributes of other macros; `cfg` would be ours to carry over.
fn check_attributes_of_parameters(signature: &Signature, mistakes: &mut Mistakes) {
    let attributes = signature.inputs.iter().flat_map(|input| match input {
        FnArg::Receiver(_) => &[][..],
        FnArg::Typed(parameter) => &parameter.attrs,
    });
    let is_cfg = |attribute: &&Attribute| {
        attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
    };
    for attribute in attributes.filter(is_cfg) {
        mistakes.add(
            attribute,
            "the parameters of a stage are the same everywhere: its type has a field for each state",
            "write the function twice, each with its `#[cfg]`",
        );
    }
}

fn check_state_is_a_reference(state: &State, mistakes: &mut Mistakes) {
    if state.kind == StateKind::Value {
        let ty = words(&state.ty);
        mistakes.add(
            &state.original.ty,
            "state outlives the call, so the function borrows it",
            format!("write `&mut {ty}` for one of each worker, or `&{ty}` for one of all of them"),
        );
    }
}

fn check_state_has_a_name(state: &State, mistakes: &mut Mistakes) {
    if !matches!(&*state.original.pat, Pat::Ident(pattern) if pattern.subpat.is_none()) {
        mistakes.add(
            &state.original.pat,
            "state is a field of the stage, and that has a name",
            "write a name here, and take it apart in the body",
        );
    }
}

fn check_state_stands_first(state: &State, mistakes: &mut Mistakes) {
    if state.late {
        mistakes.add(
            &state.original,
            "state stands before the item, so that every stage reads alike",
            "write the item as the last parameter",
        );
    }
}

fn check_state_has_a_size(state: &State, mistakes: &mut Mistakes) {
    if has_no_size(&state.ty) && state.kind == StateKind::Local {
        mistakes.add(
            &state.original.ty,
            "each worker keeps this state by value, and values of this type have no size",
            format!("write `&mut {}`", owned(&state.ty)),
        );
    }
}

fn check_init_is_local(state: &State, mistakes: &mut Mistakes) {
    if state.attribute.init.is_some() && matches!(state.kind, StateKind::Shared | StateKind::Static)
    {
        mistakes.add(
            &state.original.ty,
            "`init` makes a value for each worker, and `&` is what they share",
            format!(
                "write `&mut {}`, or give the value to `new` without `init`",
                words(&state.ty)
            ),
        );
    }
}

fn check_what_init_is_given(from: &Type, mistakes: &mut Mistakes) {
    match peeled(from) {
        Type::Reference(TypeReference {
            mutability: None,
            elem,
            ..
        }) => check_type(elem, "what `new` takes", mistakes),
        other => mistakes.add(
            from,
            "what `new` takes is used again for each worker, so `init` borrows it",
            format!("write `&{}`", words(other)),
        ),
    }
}

fn check_one_item(items: &[PatType], signature: &Signature, stage: &str, mistakes: &mut Mistakes) {
    match items {
        [] => mistakes.add(
            &signature.ident,
            format!("a stage takes an item, and {stage} takes none"),
            "write a parameter without `#[state]`, by value: `item: Item`",
        ),
        [item] => check_item(item, mistakes),
        [_, rest @ ..] => {
            let what = format!("a stage takes one item, and {stage} takes several");
            let borrows = |item: &&PatType| matches!(peeled(&item.ty), Type::Reference(_));
            // what is borrowed is rather state
            match items.iter().find(borrows) {
                Some(state) => {
                    let write = format!("write `#[state] {}`", words(state));
                    mistakes.add(state, what, write);
                }
                None => mistakes.add(
                    rest.first(),
                    what,
                    "write a tuple, `(a, b): (A, B)`, or `#[state]` before what is not the item",
                ),
            }
        }
    }
}

fn check_item(item: &PatType, mistakes: &mut Mistakes) {
    if let Type::Reference(reference) = peeled(&item.ty)
        && !is_static(reference.lifetime.as_ref())
    {
        let owned = owned(&reference.elem);
        mistakes.add(
            &item.ty,
            "an item moves from stage to stage, and what it borrows from would be gone",
            format!(
                "write `{owned}`, or `Arc<{owned}>` if it is shared; if this is not the item, write \
                 `#[state]` before it"
            ),
        );
        return;
    }
    check_type(&item.ty, "the item", mistakes);
}

/// What holds a value of this type.
fn owned(ty: &Type) -> String {
    match peeled(ty) {
        Type::Slice(slice) => format!("Vec<{}>", words(&slice.elem)),
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::TraitObject(object) => format!("Box<{}>", words(object)),
        other => words(other),
    }
}

fn check_output(output: &Output, signature: &Signature, mistakes: &mut Mistakes) {
    match output {
        Output::Nothing => mistakes.add(
            &signature.ident,
            format!(
                "a stage gives an item for each one that it takes, and `{}` gives nothing",
                signature.ident
            ),
            "write what it returns: the item, to hand it on, or a `Result`. A function that gives nothing \
             is an end: `.for_each(..)`, or `.try_for_each(..)` if it returns a `Result`",
        ),
        Output::Item(ty) | Output::Result(ty) | Output::Both(ty, _) => {
            check_type(ty, "the result", mistakes);
        }
    }
}

/// A type of a stage is written out, and borrows nothing.
fn check_type(ty: &Type, whose: &str, mistakes: &mut Mistakes) {
    let mut found = Found::default();
    found.visit_type(ty);
    if let Some(hidden) = found.hidden {
        let write = if whose == "the result" {
            "write its name, or `Box<dyn ..>`"
        } else {
            "write its name, or a type parameter: `fn decode<T: Read>(item: T)`"
        };
        let what = format!("the stage is a type that names {whose}, and `impl Trait` has no name");
        mistakes.add(hidden, what, write);
    }
    for lifetime in found.borrowed {
        let what = format!("{whose} borrows, and what it borrows from would be gone");
        mistakes.add(
            lifetime,
            what,
            "write a type that owns what it needs, or `'static`",
        );
    }
}

#[derive(Default)]
struct Found {
    hidden: Option<TypeImplTrait>,
    borrowed: Vec<proc_macro2::TokenStream>,
}

impl<'ast> Visit<'ast> for Found {
    fn visit_type_impl_trait(&mut self, hidden: &'ast TypeImplTrait) {
        self.hidden.get_or_insert_with(|| hidden.clone());
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if !is_static(Some(lifetime)) {
            self.borrowed.push(lifetime.to_token_stream());
        }
    }

    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if reference.lifetime.is_none() {
            self.borrowed.push(reference.to_token_stream());
        } else {
            visit::visit_type_reference(self, reference);
        }
    }

    // lifetimes of functions are their own

    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}

    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}

    fn visit_bound_lifetimes(&mut self, _: &'ast syn::BoundLifetimes) {}

    fn visit_trait_bound(&mut self, bound: &'ast syn::TraitBound) {
        if bound.lifetimes.is_none() {
            visit::visit_trait_bound(self, bound);
        }
    }
}

fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

/// A lifetime of the function's is one of a call; the stage is there for all of them.
fn check_lifetimes_of_bounds(generics: &Generics, mistakes: &mut Mistakes) {
    let mut found = Found::default();
    for parameter in &generics.params {
        if let GenericParam::Type(parameter) = parameter {
            found.visit_type_param(parameter);
        }
    }
    for predicate in generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates)
    {
        if let WherePredicate::Type(predicate) = predicate
            && predicate.lifetimes.is_none()
        {
            found.visit_predicate_type(predicate);
        }
    }
    for lifetime in found.borrowed {
        mistakes.add(
            lifetime,
            "a lifetime is one of a single call, and the stage is there for all of them",
            "write `for<'a>` before the bound, or `'static`",
        );
    }
}

/// What the type is called must not be taken already, as far as can be seen here.
fn check_name(function: &Function, mistakes: &mut Mistakes) {
    let name = &function.syntax.signature.ident;
    if function.is_taken || *name == function.stage {
        let whose = if function.is_taken {
            "one of its types"
        } else {
            "the function"
        };
        mistakes.add(
            name,
            format!(
                "the stage would be called `{}`, like {whose}",
                function.stage
            ),
            "write `#[stage(type = ..)]` with another name, or call the function otherwise",
        );
    }
}

fn check_options(options: &Options, mistakes: &mut Mistakes) {
    check_one_order(options, mistakes);
    check_room_for_workers(options, mistakes);
    if let (Some(_), Some(infallible)) = (&options.fallible, &options.infallible) {
        mistakes.add(
            &infallible.option,
            "a stage can fail (`fallible`) or cannot (`infallible`)",
            "write one of them, or none: a type whose name ends in `Result` is taken for one",
        );
    }
}

fn check_one_order(options: &Options, mistakes: &mut Mistakes) {
    let plain = [&options.ordered, &options.unordered];
    let plain = plain.into_iter().flatten().map(|word| &word.option);
    let keyed = options.keyed.iter().map(|keyed| &keyed.option);
    // the first one may be what is meant
    for second in plain.chain(keyed).skip(1) {
        mistakes.add(
            second,
            "results leave in the order of the input (`ordered`), in that of each key (`keyed`), or as they are \
             ready (`unordered`)",
            "write one of them, or none: `ordered` is the default",
        );
    }
}

fn check_room_for_workers(options: &Options, mistakes: &mut Mistakes) {
    let number = |count: &Count| match count {
        Count::Number(number) => number.base10_parse::<usize>().ok(),
        _ => None,
    };
    if let (Some(window), Some(parallelism)) = (&options.window, &options.parallelism)
        && let (Some(items), Some(workers)) = (number(&window.value), number(&parallelism.value))
        && items < workers
    {
        mistakes.add(
            &window.option,
            format!("a window of {items} items has no room for {workers} in work"),
            format!("write `window = {workers}` or more, or leave it out for the default"),
        );
    }
}

fn check_not_async(word: &impl ToTokens, mistakes: &mut Mistakes) {
    mistakes.add(
        word,
        "`blocking` gives each body a thread to block, and an `async fn` waits without one",
        "write `fn` for code that blocks or computes for long, or leave `blocking` out",
    );
}

fn check_own_block(block: &Block, mistakes: &mut Mistakes) {
    if let Some((path, _)) = &block.syntax.trait_ {
        mistakes.add(
            path,
            "`#[stage]` writes the implementation of the trait itself, from the functions of a type",
            "write `impl Type { async fn process(&mut self, item: ..) -> .. }`",
        );
    }
}

fn check_no_names_for_blocks(options: &Options, mistakes: &mut Mistakes) {
    if let Some(name) = &options.type_name {
        mistakes.add(
            name,
            "the type of this stage is there already: it is the one of the `impl` block",
            "leave `type` out",
        );
    }
}

fn check_receiver(signature: &Signature, borrowed: bool, name: &str, mistakes: &mut Mistakes) {
    let fits = signature.receiver().is_some_and(|receiver| {
        matches!(receiver.kind, ReceiverKind::Reference(..)) == borrowed
            && !matches!(receiver.kind, ReceiverKind::Typed(..))
    });
    if fits {
        return;
    }
    let (what, write) = if borrowed {
        (
            format!("`{name}` borrows the value of its worker"),
            format!("write `{name}(&mut self, ..)`"),
        )
    } else {
        (
            format!("`{name}` is the end of the value of its worker"),
            format!("write `{name}(self)`"),
        )
    };
    match signature.receiver() {
        Some(receiver) => mistakes.add(receiver, what, write),
        None => mistakes.add(&signature.ident, what, write),
    }
}

fn check_no_generics(signature: &Signature, name: &str, mistakes: &mut Mistakes) {
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            mistakes.add(
                parameter,
                format!("`{name}` is of the trait `Stage`, where it has no parameters of its own"),
                "write it at the `impl`, as a parameter of the type",
            );
        }
    }
}

fn check_no_states(process: &Method, mistakes: &mut Mistakes) {
    let attributes = process.items.iter().flat_map(|item| &item.attrs);
    for attribute in attributes.filter(|attribute| attribute.path().is_ident("state")) {
        mistakes.add(
            attribute,
            "the state of this stage is the fields of its type",
            "leave `#[state]` out, and make it a field",
        );
    }
}

fn check_nothing_given(method: &Method, name: &str, mistakes: &mut Mistakes) {
    if let Output::Item(ty) = &method.output
        && !matches!(peeled(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
    {
        mistakes.add(
            ty,
            format!("nobody takes what `{name}` returns"),
            "write `Result<(), ..>` if it can fail, else nothing",
        );
    }
}

fn check_nothing_taken(method: &Method, name: &str, mistakes: &mut Mistakes) {
    for item in &method.items {
        mistakes.add(
            item,
            format!("`{name}` is called without an item"),
            "leave this out",
        );
    }
}
