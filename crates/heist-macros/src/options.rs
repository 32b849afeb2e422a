//! Reads the attribute's options: `flavor = "…"`, `worker_threads = N`, `virtual_clock = true`.
//!
//! What cannot work together is refused here, at the option that asks for it, not when the program starts.

use crate::{Kind, Refusal, is_punct};
use proc_macro::{Ident, Literal, Span, TokenStream, TokenTree};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    MultiThread,
    CurrentThread,
}

pub(crate) struct Options {
    pub(crate) flavor: Flavor,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) virtual_clock: bool,
}

/// The options as written, each with the place of its name.
#[derive(Default)]
struct Written {
    flavor: Option<(Flavor, Span)>,
    worker_threads: Option<(usize, Span)>,
    virtual_clock: Option<(bool, Span)>,
}

impl Options {
    pub(crate) fn parse(kind: Kind, options: TokenStream) -> Result<Self, Refusal> {
        let mut written = Written::default();
        let mut tokens = options.into_iter().peekable();
        while let Some(token) = tokens.next() {
            let TokenTree::Ident(name) = token else {
                return Err(Refusal::new(token.span(), "expected the name of an option"));
            };
            let equals = tokens.next();
            if !is_punct(equals.as_ref(), '=') {
                let message = format!("`{name}` needs a value: write `{name} = …`");
                return Err(Refusal::new(name.span(), message));
            }
            let Some(value) = tokens.next() else {
                return Err(Refusal::new(
                    name.span(),
                    format!("the value of `{name}` is missing"),
                ));
            };
            written.take(&name, &value)?;
            let comma = tokens.next();
            if comma.is_some() && !is_punct(comma.as_ref(), ',') {
                let message = format!("expected a comma after `{name}`'s value");
                return Err(Refusal::new(
                    comma.map_or_else(Span::call_site, |token| token.span()),
                    message,
                ));
            }
        }
        written.checked(kind)
    }
}

impl Written {
    fn take(&mut self, name: &Ident, value: &TokenTree) -> Result<(), Refusal> {
        let span = name.span();
        let twice = match name.to_string().as_str() {
            "flavor" => self.flavor.replace((flavor(value)?, span)).is_some(),
            "worker_threads" => self.worker_threads.replace((count(value)?, span)).is_some(),
            "virtual_clock" => self
                .virtual_clock
                .replace((boolean(value)?, span))
                .is_some(),
            other => {
                let message = format!(
                    "no option `{other}`: there are `flavor`, `worker_threads` and `virtual_clock`"
                );
                return Err(Refusal::new(span, message));
            }
        };
        if twice {
            return Err(Refusal::new(span, format!("`{name}` is given twice")));
        }
        Ok(())
    }

    fn checked(self, kind: Kind) -> Result<Options, Refusal> {
        let default = match kind {
            Kind::Main => Flavor::MultiThread,
            Kind::Test => Flavor::CurrentThread,
        };
        let flavor = self.flavor.map_or(default, |(flavor, _)| flavor);
        if let (Some((_, span)), Flavor::CurrentThread) = (self.worker_threads, flavor) {
            let message = "`worker_threads` is for the flavor \"multi_thread\": the current-thread runtime has none";
            return Err(Refusal::new(span, message));
        }
        if let (Some((true, span)), Flavor::MultiThread) = (self.virtual_clock, flavor) {
            let message = "`virtual_clock` needs the flavor \"current_thread\"";
            return Err(Refusal::new(span, message));
        }
        Ok(Options {
            flavor,
            worker_threads: self.worker_threads.map(|(count, _)| count),
            virtual_clock: self.virtual_clock.is_some_and(|(on, _)| on),
        })
    }
}

fn flavor(value: &TokenTree) -> Result<Flavor, Refusal> {
    match value.to_string().as_str() {
        "\"multi_thread\"" => Ok(Flavor::MultiThread),
        "\"current_thread\"" => Ok(Flavor::CurrentThread),
        _ => {
            let message = "`flavor` is \"multi_thread\" or \"current_thread\"";
            Err(Refusal::new(value.span(), message))
        }
    }
}

fn count(value: &TokenTree) -> Result<usize, Refusal> {
    let number = match value {
        TokenTree::Literal(literal) => integer(literal),
        _ => None,
    };
    number.filter(|&count| count > 0).ok_or_else(|| {
        Refusal::new(
            value.span(),
            "`worker_threads` is a whole number of at least one, such as `4`",
        )
    })
}

fn integer(literal: &Literal) -> Option<usize> {
    literal
        .to_string()
        .replace('_', "")
        .trim_end_matches("usize")
        .parse()
        .ok()
}

fn boolean(value: &TokenTree) -> Result<bool, Refusal> {
    match value.to_string().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Refusal::new(
            value.span(),
            "`virtual_clock` is `true` or `false`",
        )),
    }
}
