//! Prints what the macro writes: the user's words as they are, and after them the stage.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Expr, GenericParam, Generics, Ident, ImplItem, ItemImpl, PatType, Path, Type,
    WherePredicate, ext::IdentExt, parse_quote, spanned::Spanned,
};

use crate::{
    model::{Block, Function, Method, Output, State, StateKind, peeled},
    parse::{Count, FunctionSyntax, Key, Options, Retry, Time},
};

pub(crate) fn function(function: &Function) -> TokenStream {
    let [item] = &function.items[..] else {
        return function.syntax.to_token_stream();
    };
    let core = core_path(&function.options);
    let user = with_quiet_clippy(function);
    let ty = type_of(function, &core);
    let clone = (!is_unit(function)).then(|| clone_of(function, &core));
    let stage = stage_of(function, item, &core);
    quote! {
        #user
        #ty
        #clone
        #stage
    }
}

/// Where the library is.
pub(crate) fn core_path(options: &Options) -> Path {
    options
        .crate_path
        .clone()
        .unwrap_or_else(|| parse_quote!(::pipeline_core))
}

/// The library's path, as if it was written where `span` is: errors are told there.
fn at(core: &Path, span: Span) -> TokenStream {
    let tokens = core.to_token_stream().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    tokens.collect()
}

/// The function, without what clippy says about parameters that have to be as they are.
fn with_quiet_clippy(function: &Function) -> TokenStream {
    let syntax = &function.syntax;
    let is_async = syntax.signature.asyncness.is_some();
    let by_value = (!is_async).then(|| quote!(clippy::needless_pass_by_value,));
    let by_reference = (!function.states.is_empty())
        .then(|| quote!(clippy::ptr_arg, clippy::trivially_copy_pass_by_ref,));
    if by_value.is_none() && by_reference.is_none() {
        return syntax.to_token_stream();
    }
    let FunctionSyntax {
        attributes,
        visibility,
        signature,
        body,
        ..
    } = syntax;
    quote! {
        #(#attributes)*
        #[allow(#by_value #by_reference reason = "a stage is given its item, and lent its state")]
        #visibility #signature
        #body
    }
}

/// Attributes of a function that are about everything made of it.
fn carried(attributes: &[Attribute]) -> TokenStream {
    let about_all = ["cfg", "cfg_attr", "allow", "warn", "deny", "forbid"];
    let carried = attributes
        .iter()
        .filter(|attribute| about_all.iter().any(|name| attribute.path().is_ident(name)));
    let is_deprecated = attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("deprecated"));
    let quiet =
        is_deprecated.then(|| quote!(#[allow(deprecated, reason = "a use is what it warns of")]));
    quote!(#(#carried)* #quiet)
}

/// The function's generics without its lifetimes, which are those of a call.
pub(crate) fn generics_of_type(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    generics.params = generics
        .params
        .into_iter()
        .filter(|parameter| !matches!(parameter, GenericParam::Lifetime(_)))
        .collect();
    if let Some(clause) = &mut generics.where_clause {
        clause.predicates = std::mem::take(&mut clause.predicates)
            .into_iter()
            .filter(|predicate| matches!(predicate, WherePredicate::Type(_)))
            .collect();
    }
    if generics.params.is_empty() {
        generics.lt_token = None;
        generics.gt_token = None;
    }
    generics
}

/// Nothing to hold, and nothing to choose: `Decode` is the value as well.
fn is_unit(function: &Function) -> bool {
    function.states.is_empty()
        && generics_of_type(&function.syntax.signature.generics)
            .params
            .is_empty()
}

/// The type, with how it is made.
fn type_of(function: &Function, core: &Path) -> TokenStream {
    let (name, visibility) = (&function.stage, &function.syntax.visibility);
    let attributes = carried(&function.syntax.attributes);
    let of = |name| {
        let attributes = function.syntax.attributes.iter();
        attributes.filter(move |attribute| attribute.path().is_ident(name))
    };
    let (docs, deprecated) = (of("doc"), of("deprecated"));
    let about = format!(
        " The stage that `{}` is.",
        plain(&function.syntax.signature.ident)
    );
    let gap = of("doc").next().map(|_| quote!(#[doc = ""]));
    let docs = quote!(#(#docs)* #gap #[doc = #about] #(#deprecated)*);
    if is_unit(function) {
        return quote! {
            #docs
            #attributes
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::default::Default)]
            #visibility struct #name;
        };
    }
    let generics = generics_of_type(&function.syntax.signature.generics);
    let (with_bounds, arguments, clause) = generics.split_for_impl();
    let names: Vec<_> = function.states.iter().map(|state| &state.name).collect();
    let fields = function.states.iter().map(|state| field_type(state, core));
    let phantom = phantom(&generics);
    let phantom_field = phantom.as_ref().map(|ty| quote!(__types: #ty,));
    let phantom_value = phantom
        .as_ref()
        .map(|_| quote!(__types: ::core::marker::PhantomData,));
    let parameters = function.states.iter().filter_map(|state| {
        let (name, ty) = (&state.name, taken_by_new(state)?);
        Some(quote!(#name: #ty))
    });
    let values = function.states.iter().map(|state| {
        let name = &state.name;
        match (&state.attribute.init, state.kind) {
            (Some(init), _) if init.from.is_none() => {
                quote!(#name: #core::__private::Made::new(()))
            }
            (Some(_), _) => quote!(#name: #core::__private::Made::new(#name)),
            (None, StateKind::Shared) => quote!(#name: ::core::convert::Into::into(#name)),
            (None, _) => quote!(#name),
        }
    });
    let about_new = about_new(function);
    let default = names.is_empty().then(|| {
        quote! {
            #attributes
            #[automatically_derived]
            impl #with_bounds ::core::default::Default for #name #arguments #clause {
                fn default() -> Self {
                    Self::new()
                }
            }
        }
    });
    let text = name.to_string();
    quote! {
        #docs
        #attributes
        #visibility struct #name #generics #clause {
            #(#names: #fields,)*
            #phantom_field
        }

        #attributes
        impl #with_bounds #name #arguments #clause {
            #[doc = #about_new]
            #[must_use]
            #visibility fn new(#(#parameters),*) -> Self {
                #name { #(#values,)* #phantom_value }
            }
        }

        #default

        #attributes
        #[automatically_derived]
        impl #with_bounds ::core::fmt::Debug for #name #arguments #clause {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(#text)
            }
        }
    }
}

/// What the states are for whoever calls `new`.
fn about_new(function: &Function) -> String {
    let about = function.states.iter().filter_map(|state| {
        let name = plain(&state.name);
        match (&state.attribute.init, state.kind) {
            (Some(init), _) => {
                init.from.as_ref()?;
                let function = init.function.to_token_stream().to_string().replace(' ', "");
                Some(format!(
                    "each worker has a `{name}` that `{function}` makes of it"
                ))
            }
            (None, StateKind::Local) => Some(format!("each worker has a clone of `{name}`")),
            (None, _) => Some(format!("all workers share `{name}`")),
        }
    });
    let about: Vec<_> = about.collect();
    if about.is_empty() {
        " The stage.".to_owned()
    } else {
        format!(" The stage with its state: {}.", about.join(", "))
    }
}

/// Mentions all types, and has none of them.
pub(crate) fn phantom(generics: &Generics) -> Option<TokenStream> {
    let types: Vec<_> = generics.type_params().map(|ty| &ty.ident).collect();
    (!types.is_empty()).then(|| quote!(::core::marker::PhantomData<fn(#(&#types),*)>))
}

fn field_type(state: &State, core: &Path) -> TokenStream {
    let ty = &state.ty;
    match (&state.attribute.init, state.kind) {
        (Some(init), _) => match init.from.as_ref().map(behind_reference) {
            Some(from) => quote!(#core::__private::Made<#ty, #from>),
            None => quote!(#core::__private::Made<#ty>),
        },
        (None, StateKind::Shared) => quote!(::std::sync::Arc<#ty>),
        (None, StateKind::Static) => quote!(&'static #ty),
        (None, StateKind::Local | StateKind::Value) => ty.to_token_stream(),
    }
}

/// `None` if it is made of nothing.
pub(crate) fn taken_by_new(state: &State) -> Option<TokenStream> {
    let ty = &state.ty;
    Some(match (&state.attribute.init, state.kind) {
        (Some(init), _) => {
            let from = behind_reference(init.from.as_ref()?);
            quote!(impl ::core::convert::Into<::std::sync::Arc<#from>>)
        }
        (None, StateKind::Shared) => quote!(impl ::core::convert::Into<::std::sync::Arc<#ty>>),
        (None, StateKind::Static) => quote!(&'static #ty),
        (None, StateKind::Local | StateKind::Value) => ty.to_token_stream(),
    })
}

fn behind_reference(ty: &Type) -> &Type {
    match peeled(ty) {
        Type::Reference(reference) => peeled(&reference.elem),
        other => other,
    }
}

fn clone_of(function: &Function, core: &Path) -> TokenStream {
    let name = &function.stage;
    let attributes = carried(&function.syntax.attributes);
    let mut generics = generics_of_type(&function.syntax.signature.generics);
    let phantom = phantom(&generics).map(|_| quote!(__types: ::core::marker::PhantomData,));
    let is_local =
        |state: &&State| state.kind == StateKind::Local && state.attribute.init.is_none();
    if !generics.params.is_empty() {
        let local = function.states.iter().filter(is_local);
        let bounds = local.map(|state| -> WherePredicate {
            let ty = &state.ty;
            parse_quote!(#ty: ::core::clone::Clone)
        });
        generics.make_where_clause().predicates.extend(bounds);
    }
    let (with_bounds, arguments, clause) = generics.split_for_impl();
    let fields = function.states.iter().map(|state| {
        let name = &state.name;
        if is_local(&state) {
            // asks for `Clone` in words of its own, at the type
            let core = at(core, state.ty.span());
            let each = quote_spanned! {state.ty.span()=>
                #core::__private::Local::each(&self.#name)
            };
            quote!(#name: #each)
        } else {
            quote!(#name: ::core::clone::Clone::clone(&self.#name))
        }
    });
    quote! {
        #attributes
        #[automatically_derived]
        impl #with_bounds ::core::clone::Clone for #name #arguments #clause {
            fn clone(&self) -> Self {
                #name { #(#fields,)* #phantom }
            }
        }
    }
}

fn stage_of(function: &Function, item: &PatType, core: &Path) -> TokenStream {
    let name = &function.stage;
    let syntax = &function.syntax;
    let attributes = carried(&syntax.attributes);
    let mut generics = generics_of_type(&syntax.signature.generics);
    let turbofish = {
        let (_, arguments, _) = generics.split_for_impl();
        let turbofish = arguments.as_turbofish();
        quote!(#turbofish)
    };
    movable(&mut generics);
    let (with_bounds, arguments, clause) = generics.split_for_impl();
    let states = function.states.iter().map(|state| {
        let name = &state.name;
        match (&state.attribute.init, state.kind) {
            (Some(_), _) => quote!(self.#name.get()),
            (None, StateKind::Local) => quote!(&mut self.#name),
            (None, StateKind::Shared) => quote!(&*self.#name),
            (None, StateKind::Static | StateKind::Value) => quote!(self.#name),
        }
    });
    let user = &syntax.signature.ident;
    let call = quote!(#user #turbofish(#(#states,)* item));
    let is_async = syntax.signature.asyncness.is_some();
    let ty = &item.ty;
    let error = error_type(&function.output, core);
    let out = out_type(&function.output, core);
    let process = process(ty, &function.output, &error, &call, is_async, core);
    let open = open_of(function, core);
    let name_of_user = plain(user);
    let defaults = defaults(
        &function.options,
        ty,
        Some(&name_of_user),
        open.is_some(),
        core,
    );
    quote! {
        #attributes
        #[automatically_derived]
        impl #with_bounds #core::Stage<#ty, #out> for #name #arguments #clause {
            type Error = #error;
            #open
            #process
            #defaults
        }
    }
}

/// What flows moves between threads, for as long as the run takes.
fn movable(generics: &mut Generics) {
    let types: Vec<_> = generics.type_params().map(|ty| ty.ident.clone()).collect();
    if !types.is_empty() {
        let bounds = types
            .iter()
            .map(|ty| -> WherePredicate { parse_quote!(#ty: ::core::marker::Send + 'static) });
        generics.make_where_clause().predicates.extend(bounds);
    }
}

fn out_type(output: &Output, core: &Path) -> TokenStream {
    match output {
        Output::Nothing => quote!(()),
        Output::Item(ty) => ty.to_token_stream(),
        Output::Both(_, both) => both.0.to_token_stream(),
        Output::Result(ty) => {
            let core = at(core, ty.span());
            quote_spanned!(ty.span()=> #core::__private::Given<#ty>)
        }
    }
}

fn error_type(output: &Output, core: &Path) -> TokenStream {
    match output {
        Output::Nothing | Output::Item(_) => quote!(::core::convert::Infallible),
        Output::Both(_, both) => both.1.to_token_stream(),
        Output::Result(ty) => {
            let core = at(core, ty.span());
            quote_spanned!(ty.span()=> #core::__private::Failed<#ty>)
        }
    }
}

/// `process` of the trait, by a call of the user's.
fn process(
    item: &Type,
    output: &Output,
    error: &TokenStream,
    call: &TokenStream,
    is_async: bool,
    core: &Path,
) -> TokenStream {
    let (result, body) = match (output.ty(), output.is_result()) {
        (Some(ty), true) => {
            let body = if is_async {
                call.clone()
            } else {
                quote!(::core::future::ready(#call))
            };
            (ty.to_token_stream(), body)
        }
        (ty, _) => {
            let item = ty.map_or_else(|| quote!(()), ToTokens::to_token_stream);
            let body = if is_async {
                quote!(#core::__private::sure(#call))
            } else {
                quote!(::core::future::ready(::core::result::Result::Ok(#call)))
            };
            (quote!(::core::result::Result<#item, #error>), body)
        }
    };
    let future = future_of(&result, output_span(output));
    quote! {
        fn process(&mut self, item: #item) -> #future {
            #body
        }
    }
}

fn output_span(output: &Output) -> Span {
    output.ty().map_or_else(Span::call_site, Spanned::span)
}

/// At `span`, where a future that is not `Send` is told of.
fn future_of(result: &TokenStream, span: Span) -> TokenStream {
    quote_spanned! {span=>
        impl ::core::future::Future<Output = #result> + ::core::marker::Send
    }
}

/// Makes what each worker makes for itself.
fn open_of(function: &Function, core: &Path) -> Option<TokenStream> {
    let made = function.states.iter().filter_map(|state| {
        let (name, init) = (&state.name, state.attribute.init.as_ref()?);
        let from = init.from.as_ref().map(|_| quote!(self.#name.from()));
        let path = &init.function;
        Some(quote_spanned! {init.function.span()=>
            let made = #path(#from).await;
            self.#name.fill(made)?;
        })
    });
    let made: Vec<_> = made.collect();
    (!made.is_empty()).then(|| {
        quote! {
            async fn open(&mut self) -> ::core::result::Result<(), #core::BoxError> {
                #(#made)*
                ::core::result::Result::Ok(())
            }
        }
    })
}

/// The options that are set.
fn defaults(
    options: &Options,
    item: &Type,
    name: Option<&str>,
    prepared: bool,
    core: &Path,
) -> TokenStream {
    let mut set = TokenStream::new();
    match (&options.name, name) {
        (Some(name), _) => set.extend(quote!(.name(#name))),
        (None, Some(name)) => set.extend(quote!(.name(#name))),
        (None, None) => {}
    }
    if let Some(parallelism) = &options.parallelism {
        let option = &parallelism.option;
        set.extend(match &parallelism.value {
            Count::Cores => quote_spanned!(option.span()=> .cores()),
            Count::Number(number) => quote!(.#option(#number)),
            Count::Expression(count) => quote!(.#option(#count)),
        });
    }
    let words = [&options.ordered, &options.unordered, &options.blocking];
    for word in words.into_iter().flatten() {
        let option = &word.option;
        set.extend(quote!(.#option()));
    }
    // said, as nothing else tells a closure in time what it is given
    let mut items = TokenStream::new();
    if let Some(keyed) = &options.keyed {
        let (option, Key(key)) = (&keyed.option, &keyed.value);
        set.extend(quote!(.#option(#key)));
        items = quote!(::<#item>);
    }
    if let Some(window) = &options.window {
        let (option, count) = (&window.option, count(&window.value));
        set.extend(quote!(.#option(#count)));
    }
    let limits = [&options.timeout, &options.attempt_timeout];
    for limit in limits.into_iter().flatten() {
        let (option, time) = (&limit.option, time(&limit.value));
        set.extend(quote!(.#option(#time)));
    }
    if let Some(retry) = &options.retry {
        let value = retry_value(&retry.value, core);
        let option = &retry.option;
        set.extend(quote!(.#option(#value)));
    }
    if prepared {
        set.extend(quote!(.prepared()));
    }
    if set.is_empty() {
        return set;
    }
    quote! {
        fn defaults() -> #core::config::StageConfig<#item> {
            #core::config::StageConfig #items::new() #set
        }
    }
}

fn count(count: &Count) -> TokenStream {
    match count {
        Count::Number(number) => number.to_token_stream(),
        Count::Expression(count) => count.to_token_stream(),
        Count::Cores => TokenStream::new(),
    }
}

/// In the largest unit that is exact, as a reader would write it.
fn time(time: &Time) -> TokenStream {
    let (text, duration) = match time {
        Time::Expression(time) => return Expr::to_token_stream(time),
        Time::Literal(text, duration) => (text, duration),
    };
    let (unit, number) = in_largest_unit(*duration);
    let unit = Ident::new(unit, text.span());
    match number {
        Some(number) => {
            let number = proc_macro2::Literal::u64_unsuffixed(number);
            quote!(::core::time::Duration::#unit(#number))
        }
        None => {
            let seconds = proc_macro2::Literal::u64_unsuffixed(duration.as_secs());
            let nanos = proc_macro2::Literal::u32_unsuffixed(duration.subsec_nanos());
            quote!(::core::time::Duration::#unit(#seconds, #nanos))
        }
    }
}

fn in_largest_unit(duration: Duration) -> (&'static str, Option<u64>) {
    let nanos = duration.as_nanos();
    let units = [
        ("from_secs", 1_000_000_000),
        ("from_millis", 1_000_000),
        ("from_micros", 1_000),
        ("from_nanos", 1),
    ];
    let exact = units.iter().find(|(_, unit)| nanos.is_multiple_of(*unit));
    let exact = exact.and_then(|(name, unit)| Some((*name, u64::try_from(nanos / unit).ok()?)));
    match exact {
        Some((name, number)) => (name, Some(number)),
        None => ("new", None),
    }
}

fn retry_value(retry: &Retry, core: &Path) -> TokenStream {
    let options = match retry {
        Retry::Expression(retry) => return retry.to_token_stream(),
        Retry::Options(options) => options,
    };
    let mut value = match (&options.backoff, &options.fixed) {
        (Some(first), _) => {
            let first = time(&first.value);
            quote!(#core::config::Retry::exponential(#first))
        }
        (None, Some(pause)) => {
            let pause = time(&pause.value);
            quote!(#core::config::Retry::fixed(#pause))
        }
        (None, None) => return TokenStream::new(),
    };
    if let Some(max) = &options.max {
        let count = count(&max.value);
        value.extend(quote!(.max_retries(#count)));
    }
    if let Some(longest) = &options.max_delay {
        let time = time(&longest.value);
        value.extend(quote!(.max_delay(#time)));
    }
    let words = [&options.jitter, &options.panics];
    for word in words.into_iter().flatten() {
        let option = &word.option;
        value.extend(quote!(.#option()));
    }
    value
}

pub(crate) fn block(block: &Block) -> TokenStream {
    let Some((process_method, item)) = block
        .process
        .as_ref()
        .and_then(|process| Some((process, process.items.first()?)))
    else {
        return block.syntax.to_token_stream();
    };
    let core = core_path(&block.options);
    let user = with_quiet_process(&block.syntax, process_method);
    let ItemImpl {
        self_ty: name,
        generics,
        attrs,
        ..
    } = &block.syntax;
    let attributes = carried(attrs);
    let mut generics = generics.clone();
    movable(&mut generics);
    let (with_bounds, _, clause) = generics.split_for_impl();
    let ty = &item.ty;
    let out = out_type(&process_method.output, &core);
    // where only `close` can fail, its errors are those of the stage
    let fails = match (&process_method.output, &block.close) {
        (Output::Item(_), Some(close)) => &close.output,
        (output, _) => output,
    };
    let error = error_type(fails, &core);
    let is_async = process_method.is_async();
    let call = quote!(Self::process(self, item));
    let process = process(ty, &process_method.output, &error, &call, is_async, &core);
    let open = block.open.as_ref().map(|open| open_method(open, &core));
    let close = block
        .close
        .as_ref()
        .map(|close| close_method(close, &error));
    let defaults = defaults(&block.options, ty, None, open.is_some(), &core);
    quote! {
        #user

        #attributes
        #[automatically_derived]
        impl #with_bounds #core::Stage<#ty, #out> for #name #clause {
            type Error = #error;
            #open
            #process
            #close
            #defaults
        }
    }
}

fn with_quiet_process(block: &ItemImpl, process: &Method) -> ItemImpl {
    let mut block = block.clone();
    if process.is_async() {
        return block;
    }
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item
            && function.sig.ident == "process"
        {
            function.attrs.push(parse_quote! {
                #[allow(clippy::needless_pass_by_value, reason = "a stage is given its item")]
            });
        }
    }
    block
}

fn open_method(open: &Method, core: &Path) -> TokenStream {
    let awaited = open.is_async().then(|| quote!(.await));
    let question = open.output.is_result().then(|| quote!(?));
    quote! {
        async fn open(&mut self) -> ::core::result::Result<(), #core::BoxError> {
            Self::open(self) #awaited #question;
            ::core::result::Result::Ok(())
        }
    }
}

fn close_method(close: &Method, error: &TokenStream) -> TokenStream {
    let call = quote!(Self::close(self));
    let result = close.output.ty().filter(|_| close.output.is_result());
    let (result, body) = match (result, close.is_async()) {
        (Some(ty), true) => (ty.to_token_stream(), call),
        (Some(ty), false) => (ty.to_token_stream(), quote!(::core::future::ready(#call))),
        (None, is_async) => {
            let awaited = is_async.then(|| quote!(.await));
            (
                quote!(::core::result::Result<(), #error>),
                quote! {
                    async move {
                        #call #awaited;
                        ::core::result::Result::Ok(())
                    }
                },
            )
        }
    };
    let future = future_of(&result, output_span(&close.output));
    quote! {
        fn close(self) -> #future {
            #body
        }
    }
}

/// Without `r#`, for people.
fn plain(name: &Ident) -> String {
    name.unraw().to_string()
}

/// A name that is not the user's.
pub(crate) fn own_name(name: &str) -> Ident {
    format_ident!("__{name}")
}
