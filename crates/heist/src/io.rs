//! The traits of asynchronous reading and writing, which are futures-io's, and registration of
//! foreign descriptors.

pub use futures_util::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite,
    AsyncWriteExt, BufReader, BufWriter, copy, copy_buf, empty, repeat, sink,
};
