//! Takes the attributed function apart.
//!
//! Only what the expansion needs is told apart: attributes, visibility, name, return type, body. The insides stay as
//! they are, so nothing here has to know Rust's types or expressions.

use crate::{Kind, Refusal, is_ident, is_punct};
use proc_macro::{Delimiter, Ident, Span, TokenStream, TokenTree};
use std::iter::Peekable;

type Tokens = Peekable<proc_macro::token_stream::IntoIter>;

/// An `async fn` without arguments and generics.
pub(crate) struct AsyncFn {
    pub(crate) attributes: TokenStream,
    pub(crate) visibility: TokenStream,
    pub(crate) name: Ident,
    /// `-> Type`, or nothing.
    pub(crate) output: TokenStream,
    pub(crate) body: TokenTree,
}

impl AsyncFn {
    pub(crate) fn parse(kind: Kind, item: TokenStream) -> Result<Self, Refusal> {
        let mut tokens = item.into_iter().peekable();
        let attributes = attributes(kind, &mut tokens)?;
        let visibility = visibility(&mut tokens);
        let (name, name_span) = signature_front(kind, &mut tokens)?;
        arguments(kind, &mut tokens, name_span)?;
        let (output, body) = output_and_body(kind, tokens, name_span)?;
        Ok(Self {
            attributes,
            visibility,
            name,
            output,
            body,
        })
    }
}

fn attributes(kind: Kind, tokens: &mut Tokens) -> Result<TokenStream, Refusal> {
    let mut attributes = TokenStream::new();
    while is_punct(tokens.peek(), '#') {
        attributes.extend(tokens.next());
        let Some(brackets) = tokens.next() else { break };
        if let TokenTree::Group(group) = &brackets {
            let mut inside = group.stream().into_iter();
            let is_test = is_ident(inside.next().as_ref(), "test") && inside.next().is_none();
            if is_test && kind == Kind::Test {
                let message =
                    "heist::test adds #[test] itself: with two of them the test would run twice";
                return Err(Refusal::new(group.span(), message));
            }
        }
        attributes.extend([brackets]);
    }
    Ok(attributes)
}

fn visibility(tokens: &mut Tokens) -> TokenStream {
    let mut visibility = TokenStream::new();
    if is_ident(tokens.peek(), "pub") {
        visibility.extend(tokens.next());
        let restricted = matches!(
            tokens.peek(),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis
        );
        if restricted {
            visibility.extend(tokens.next());
        }
    }
    visibility
}

/// Reads `async fn name`; gives the name and where it stands.
fn signature_front(kind: Kind, tokens: &mut Tokens) -> Result<(Ident, Span), Refusal> {
    let what = kind.name();
    let front = tokens.next();
    if is_ident(front.as_ref(), "fn") {
        let span = span_of(front.as_ref());
        return Err(Refusal::new(
            span,
            format!("{what} needs an `async fn`: write `async` before `fn`"),
        ));
    }
    if !is_ident(front.as_ref(), "async") {
        let span = span_of(front.as_ref());
        return Err(Refusal::new(
            span,
            format!("{what} goes on an `async fn`, and this is none"),
        ));
    }
    let keyword = tokens.next();
    if !is_ident(keyword.as_ref(), "fn") {
        let span = span_of(keyword.as_ref());
        return Err(Refusal::new(
            span,
            format!("{what} goes on a plain `async fn`: expected `fn` here"),
        ));
    }
    match tokens.next() {
        Some(TokenTree::Ident(name)) => {
            let span = name.span();
            Ok((name, span))
        }
        other => Err(Refusal::new(
            span_of(other.as_ref()),
            "expected the function's name",
        )),
    }
}

fn arguments(kind: Kind, tokens: &mut Tokens, name: Span) -> Result<(), Refusal> {
    let what = kind.name();
    if is_punct(tokens.peek(), '<') {
        let span = span_of(tokens.peek());
        return Err(Refusal::new(
            span,
            format!("{what} calls the function itself, so it can have no generics"),
        ));
    }
    match tokens.next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            if group.stream().is_empty() {
                return Ok(());
            }
            let message = format!("{what} calls the function itself, so it can have no arguments");
            Err(Refusal::new(group.span(), message))
        }
        _ => Err(Refusal::new(
            name,
            "expected `()` after the function's name",
        )),
    }
}

/// The body is the last group; what stands before it is the return type.
fn output_and_body(
    kind: Kind,
    tokens: Tokens,
    name: Span,
) -> Result<(TokenStream, TokenTree), Refusal> {
    let mut output: Vec<TokenTree> = tokens.collect();
    let body = output.pop();
    let is_block = matches!(
        &body,
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace
    );
    match body {
        Some(body) if is_block => Ok((output.into_iter().collect(), body)),
        _ => Err(Refusal::new(
            name,
            format!("{} needs a function with a body", kind.name()),
        )),
    }
}

fn span_of(token: Option<&TokenTree>) -> Span {
    token.map_or_else(Span::call_site, TokenTree::span)
}
