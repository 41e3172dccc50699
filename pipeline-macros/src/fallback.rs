//! Prints what the user wrote, and a stage that fits wherever theirs would, so that one mistake is one
//! error and the editor goes on completing.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, Generics, ImplItem, ItemImpl, Type, parse_quote, visit::Visit};

use crate::{
    expand::{core_path, generics_of_type, own_name, phantom, taken_by_new},
    model::{Block, Function, Output, has_no_size, unit},
};

pub(crate) fn function(function: &Function) -> TokenStream {
    let user = function.syntax.to_token_stream();
    let no_name = function.is_taken || function.stage == function.syntax.signature.ident;
    if function.syntax.receiver.is_some() || no_name {
        // in an `impl` block there is no place for a type
        return user;
    }
    let core = core_path(&function.options);
    let (name, visibility) = (&function.stage, &function.syntax.visibility);
    let generics = bare(&function.syntax.signature.generics);
    let (with_bounds, arguments, clause) = generics.split_for_impl();
    let ty = if function.states.is_empty() && generics.params.is_empty() {
        quote!(#visibility struct #name;)
    } else {
        let field = phantom(&generics).unwrap_or_else(|| quote!(()));
        let parameters = function.states.iter().filter_map(|state| {
            let taken = taken_by_new(state)?;
            if is_plain(&state.ty) && !has_no_size(&state.ty) {
                Some(quote!(_: #taken))
            } else {
                Some(quote!(_: impl ::core::marker::Sized))
            }
        });
        quote! {
            #visibility struct #name #generics(#field) #clause;
            impl #with_bounds #name #arguments #clause {
                #visibility fn new(#(#parameters),*) -> Self {
                    ::core::panic!()
                }
            }
        }
    };
    let stage = any_stage(&name.to_token_stream(), &generics, &function.output, &core);
    let clone = quote! {
        impl #with_bounds ::core::clone::Clone for #name #arguments #clause {
            fn clone(&self) -> Self {
                ::core::panic!()
            }
        }
    };
    quote! {
        #user
        #ty
        #clone
        #stage
    }
}

pub(crate) fn block(block: &Block) -> TokenStream {
    let user = without_states(&block.syntax);
    if block.syntax.trait_.is_some() {
        return user.to_token_stream();
    }
    let core = core_path(&block.options);
    let output = block
        .process
        .as_ref()
        .map_or(&Output::Nothing, |process| &process.output);
    let own = own_name("In");
    let out = known(output, &core);
    let name = &block.syntax.self_ty;
    let mut generics = block.syntax.generics.clone();
    generics
        .params
        .push(parse_quote!(#own: ::core::marker::Send + 'static));
    let (with_bounds, _, clause) = generics.split_for_impl();
    let body = body(&own, &out, &core);
    quote! {
        #user
        impl #with_bounds #core::Stage<#own, #out> for #name #clause {
            #body
        }
    }
}

/// The parameters without what is asked of them, which may be what is wrong.
fn bare(generics: &Generics) -> Generics {
    let mut generics = generics_of_type(generics);
    generics.where_clause = None;
    for parameter in generics.type_params_mut() {
        parameter.bounds = parse_quote!(::core::marker::Send + 'static);
    }
    generics
}

/// For items of any type.
fn any_stage(
    name: &TokenStream,
    generics: &Generics,
    output: &Output,
    core: &syn::Path,
) -> TokenStream {
    let own = own_name("In");
    let out = known(output, core);
    let (_, arguments, clause) = generics.split_for_impl();
    let mut more = generics.clone();
    more.params
        .push(parse_quote!(#own: ::core::marker::Send + 'static));
    let (with_bounds, _, _) = more.split_for_impl();
    let body = body(&own, &out, core);
    quote! {
        impl #with_bounds #core::Stage<#own, #out> for #name #arguments #clause {
            #body
        }
    }
}

fn body(item: &syn::Ident, out: &TokenStream, core: &syn::Path) -> TokenStream {
    quote! {
        type Error = #core::BoxError;
        async fn process(
            &mut self,
            _: #item,
        ) -> ::core::result::Result<#out, #core::BoxError> {
            ::core::panic!()
        }
    }
}

/// What it gives, if that is a type that can be named.
fn known(output: &Output, core: &syn::Path) -> TokenStream {
    match output {
        Output::Item(ty) if is_plain(ty) => ty.to_token_stream(),
        Output::Both(ty, both) if is_plain(ty) => both.0.to_token_stream(),
        Output::Result(ty) if is_plain(ty) => quote!(#core::__private::Given<#ty>),
        _ => unit().to_token_stream(),
    }
}

fn is_plain(ty: &Type) -> bool {
    struct Plain(bool);
    impl<'ast> Visit<'ast> for Plain {
        fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
            self.0 = false;
        }
        fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
            self.0 &= lifetime.ident == "static";
        }
        fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
            self.0 &= reference.lifetime.is_some();
            syn::visit::visit_type_reference(self, reference);
        }
    }
    let mut plain = Plain(true);
    plain.visit_type(ty);
    plain.0
}

/// Without attributes that only this macro knows.
fn without_states(block: &ItemImpl) -> ItemImpl {
    let mut block = block.clone();
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item {
            for input in &mut function.sig.inputs {
                if let FnArg::Typed(parameter) = input {
                    parameter
                        .attrs
                        .retain(|attribute| !attribute.path().is_ident("state"));
                }
            }
        }
    }
    block
}
