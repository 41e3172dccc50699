//! What was found wrong: all of it is told at once.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Error;

#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Error>);

impl Mistakes {
    /// `what` is wrong and why, at the words of the user's that it is about; and what to write.
    pub(crate) fn add(&mut self, place: impl ToTokens, what: impl Display, write: impl Display) {
        self.0
            .push(Error::new_spanned(place, format!("{what}\n{write}")));
    }

    /// What the parser found.
    pub(crate) fn found(&mut self, error: Error) {
        self.0.push(error);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The code, and after it what is wrong.
    pub(crate) fn and(self, mut code: TokenStream) -> TokenStream {
        code.extend(self.0.iter().map(Error::to_compile_error));
        code
    }
}

impl IntoIterator for Mistakes {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
