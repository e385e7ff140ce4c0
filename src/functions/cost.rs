//! What the planner is told that a call costs: much for each new argument, little for one that it has answered already.
#![allow(unsafe_code)]

use pgrx::{pg_guard, pg_sys};

/// Of a call that computes, in PostgreSQL's operators, once where its arguments stay the same.
const CALL: f64 = 1000.0;
/// And of a row's, which takes 25 ns: so a plan is the one that the same vector as a parameter would have. With the full cost for each row
/// an index that finds none of the rows of a filter looked cheaper than to sort those few, and so did parallel workers, each of
/// which has to embed.
const ROW: f64 = 1.0;

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_clip_cost() -> *const pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// `(internal)`: a planner support function. Where it gives NULL, the COST in `sql/` counts, for each row.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_cost(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    let none = pg_sys::Datum::from(0);
    // SAFETY: the planner gives a request, which is what its tag says; a pseudo-type keeps SQL from calling this.
    unsafe {
        let argument = (*fcinfo).args.as_slice(1)[0];
        let Some(node) = argument.value.cast_mut_ptr::<pg_sys::Node>().as_ref() else { return none };
        if argument.isnull || node.type_ != pg_sys::NodeTag::T_SupportRequestCost {
            return none;
        }
        let request = &mut *argument.value.cast_mut_ptr::<pg_sys::SupportRequestCost>();
        let call = request.node;
        if call.is_null() || pg_sys::contain_var_clause(call) || pg_sys::contain_volatile_functions(call) {
            return none;
        }
        request.startup = CALL * pg_sys::cpu_operator_cost;
        request.per_tuple = ROW * pg_sys::cpu_operator_cost;
        argument.value
    }
}
