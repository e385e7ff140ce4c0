//! `clip_search`, and what an index of its words is on.

use core::ffi::CStr;

use pgrx::{Spi, pg_extern, pg_sys};

use crate::error::{SqlState, raise};
use crate::pg::datum::to_server;
use crate::search::{self, Kind};

/// A function that returns rows, with the arguments that its SQL declaration says.
macro_rules! search {
    ($name:ident, $info:ident, $kind:expr) => {
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> *const pg_sys::Pg_finfo_record {
            const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &VERSION_1
        }

        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        #[pgrx::pg_guard]
        pub unsafe extern "C-unwind" fn $name(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            // SAFETY: PostgreSQL calls the function with its own fcinfo, under that declaration.
            unsafe { search::search(fcinfo, $kind) };
            pg_sys::Datum::from(0)
        }
    };
}

search!(clip_search_text_wrapper, pg_finfo_clip_search_text_wrapper, Kind::Text);
search!(clip_search_image_wrapper, pg_finfo_clip_search_image_wrapper, Kind::Image);
search!(clip_search_vector_wrapper, pg_finfo_clip_search_vector_wrapper, Kind::Vector);

#[pg_extern(sql = false)]
fn clip_words_expression(
    relation: Option<pg_sys::Oid>,
    column: Option<&CStr>,
    schema: Option<&CStr>,
) -> Option<Vec<u8>> {
    let (relation, schema) = (relation?, schema?);
    let expression = Spi::connect(|client| search::words_expression(client, relation, column, schema));
    let expression = expression.unwrap_or_else(|e| raise(SqlState::DataException, e.to_string(), None));
    to_server(&expression).map(|expression| expression.into_bytes())
}
