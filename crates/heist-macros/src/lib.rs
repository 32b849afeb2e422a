//! `#[heist::main]` and `#[heist::test]`: an `async fn` without arguments that runs on a runtime of its own.
//!
//! Use them through the `heist` crate. They are written over `proc_macro`'s tokens alone, so that they cost a build
//! next to nothing. `item.rs` takes the function apart, `options.rs` reads what stands in the attribute's brackets, and
//! this file puts the new function together. They know nothing of the runtime but its builder's methods.
//! Tests: `tests/errors.rs` here for what is refused, and the runtime's `tests/it` for what runs.

mod item;
mod options;

use item::AsyncFn;
use options::{Flavor, Options};
use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// Runs an `async fn main` on a runtime of its own.
///
/// The runtime is multi-threaded, with a worker a core, unless options say otherwise:
///
/// - `flavor = "multi_thread"` (the default) or `"current_thread"`; on the latter, futures that are not `Send` can be
///   spawned with `spawn_local`;
/// - `worker_threads = N`, for the multi-threaded flavor;
/// - `virtual_clock = true`, for the current-thread flavor: time jumps to the next timer whenever nothing is ready.
///
/// On the multi-threaded flavor the function is a task like any other (`Runtime::run`) where what it holds is `Send`.
/// Where it is not, the function stays on the main thread (`Runtime::block_on`), and each of its awaits that waits costs
/// the waking of that thread.
///
/// # Panics
///
/// The function panics if the runtime cannot be built, and says why.
///
/// # Examples
///
/// ```ignore
/// #[heist::main(worker_threads = 2)]
/// async fn main() {
///     let answer = heist::spawn(async { 42 }).await.unwrap();
///     assert_eq!(answer, 42);
/// }
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Main, options, item)
}

/// Makes a test of an `async fn`, run on a runtime of its own.
///
/// The options are those of `#[heist::main]`; the default flavor is `"current_thread"`.
///
/// # Examples
///
/// ```ignore
/// #[heist::test(virtual_clock = true)]
/// async fn an_hour_passes_at_once() {
///     let start = heist::time::Instant::now();
///     heist::time::sleep(Duration::from_secs(3600)).await;
///     assert!(start.elapsed() >= Duration::from_secs(3600));
/// }
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Test, options, item)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Main,
    Test,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Main => "heist::main",
            Self::Test => "heist::test",
        }
    }
}

/// What is wrong with the user's code, and where.
struct Refusal {
    span: Span,
    message: String,
}

impl Refusal {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
        }
    }

    /// `compile_error!("…");` with the span of what is wrong.
    fn into_tokens(self) -> TokenStream {
        let tokens: TokenStream = format!("::core::compile_error! {{ {:?} }}", self.message)
            .parse()
            .expect("a macro call with a literal is lexically sound");
        tokens
            .into_iter()
            .map(|token| with_span(token, self.span))
            .collect()
    }
}

fn with_span(token: TokenTree, span: Span) -> TokenTree {
    let mut token = match token {
        TokenTree::Group(group) => {
            let inside = group
                .stream()
                .into_iter()
                .map(|token| with_span(token, span))
                .collect();
            TokenTree::Group(Group::new(group.delimiter(), inside))
        }
        other => other,
    };
    token.set_span(span);
    token
}

fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    let parsed = AsyncFn::parse(kind, item)
        .and_then(|function| Ok((Options::parse(kind, options)?, function)));
    match parsed {
        Ok((options, function)) => assemble(kind, &options, function),
        Err(refusal) => {
            let mut tokens = refusal.into_tokens();
            if kind == Kind::Main {
                // One error is enough: without this the compiler would miss a main function as well.
                tokens.extend("fn main() {}".parse::<TokenStream>());
            }
            tokens
        }
    }
}

/// Puts the blocking function around the user's, which stays whole inside: so its types are inferred, and its errors
/// reported, as if no attribute stood there.
fn assemble(kind: Kind, options: &Options, function: AsyncFn) -> TokenStream {
    let AsyncFn {
        attributes,
        visibility,
        name,
        output,
        body,
    } = function;
    let user_fn = Ident::new("__heist_body", Span::mixed_site());

    let mut inside = lexed("async fn");
    inside.extend([TokenTree::Ident(user_fn), empty_parentheses()]);
    inside.extend(output.clone());
    inside.extend([body]);
    inside.extend(lexed(&start(options)));

    let mut tokens = TokenStream::new();
    if kind == Kind::Test {
        tokens.extend(lexed("#[::core::prelude::v1::test]"));
    }
    tokens.extend(attributes);
    tokens.extend(visibility);
    tokens.extend(lexed("fn"));
    tokens.extend([TokenTree::Ident(name), empty_parentheses()]);
    tokens.extend(output);
    tokens.extend([TokenTree::Group(Group::new(Delimiter::Brace, inside))]);
    tokens
}

/// The expression that builds the runtime and runs the user's function.
fn start(options: &Options) -> String {
    let (constructor, build) = match options.flavor {
        Flavor::MultiThread => ("new_multi_thread", "build"),
        Flavor::CurrentThread => ("new_current_thread", "build_local"),
    };
    let workers = options
        .worker_threads
        .map(|count| format!(".worker_threads({count})"))
        .unwrap_or_default();
    let clock = if options.virtual_clock {
        ".virtual_clock(true)"
    } else {
        ""
    };
    format!(
        "match ::heist::runtime::Builder::{constructor}(){workers}{clock}.{build}() {{
            ::core::result::Result::Ok(runtime) => {{
                use ::heist::runtime::entry::{{EntersAsTask as _, EntersHere as _}};
                let body = __heist_body();
                (&body).__heist_entry().start(&runtime, body)
            }}
            ::core::result::Result::Err(error) => ::core::panic!(\"heist cannot start its runtime: {{error}}\"),
        }}"
    )
}

fn lexed(code: &str) -> TokenStream {
    let tokens: TokenStream = code.parse().expect("our own code is lexically sound");
    tokens
        .into_iter()
        .map(|token| with_span(token, Span::mixed_site()))
        .collect()
}

fn empty_parentheses() -> TokenTree {
    TokenTree::Group(Group::new(Delimiter::Parenthesis, TokenStream::new()))
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_ident(token: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident.to_string() == wanted)
}
