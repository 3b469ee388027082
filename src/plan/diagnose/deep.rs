//! Errors in data that pointers lead to: what is wrong, and where in the data.
use super::{no_memory, of_value};
use crate::plan::expression::EvaluationError;
use crate::plan::handles::{HandleError, INDEX_BITS};
use crate::plan::interpret::Space;
use crate::plan::op::{At, DeepOp, Op, Width};
use crate::plan::shape::Reach;
use crate::plan::{Plan, Problem, Subject};

/// What a walk through the data has found.
#[derive(Debug)]
pub enum Fault {
    Null,
    /// A range that leaves the memory.
    Outside {
        bytes: u128,
        address: u64,
    },
    Misaligned {
        address: u64,
        align: u64,
    },
    /// An array without an end inside the memory.
    Endless {
        address: u64,
    },
    Negative {
        count: i128,
    },
    Expression {
        expr: u16,
        error: EvaluationError,
    },
    /// Bytes that are no whole number of elements.
    Part {
        bytes: u64,
        size: u32,
    },
    Cycle,
    /// It shares bytes with other data of its type, and one of them goes back.
    Overlap,
    Handle {
        value: u64,
        kind: u16,
        error: HandleError,
    },
    /// Too much is copied.
    Limit,
    /// Too many handles.
    Handles,
    Misfit {
        value: i128,
        width: Width,
    },
    /// A native pointer that the guest cannot have.
    Unreachable,
    /// A guest pointer to something whose size nobody knows.
    Planted {
        address: u64,
    },
    Range {
        value: i128,
        ranges: Vec<(i128, i128)>,
    },
    /// Something else, whose error is known.
    Known(Problem),
}

/// The parameter whose object's address a plan has there.
pub(super) fn boxed_at(plan: &Plan, of: At) -> Subject {
    let param = plan.ops.iter().find_map(|op| match *op {
        Op::Deep(DeepOp::Box { to, param, .. }) if to == of => Some(param),
        _ => None,
    });
    param.map_or(Subject::Call, |param| of_value(plan, param.into()))
}

/// The error. `path`: where in the data, unless it is about the pointer itself that was passed.
#[cold]
pub fn problem(space: &Space<'_>, fault: Fault, path: Option<String>) -> Problem {
    let plan = space.plan;
    let limits = space.store().limits;
    let memory = space.binding.memory_len.get();
    let problem = match fault {
        Fault::Null => Problem::Null,
        Fault::Known(problem) => problem,
        _ if space.binding.memory_base.get().is_null() => no_memory(),
        Fault::Outside { bytes, address } => Problem::OutOfBounds { bytes, address, memory },
        Fault::Misaligned { address, align } => Problem::Misaligned { address, align },
        Fault::Endless { address } => Problem::Unterminated { address, memory },
        Fault::Negative { count } => Problem::NegativeCount { count },
        Fault::Expression { expr, error } => {
            let expression = plan.expressions.get(usize::from(expr));
            let text = expression.map(|e| e.text.to_string()).unwrap_or_default();
            Problem::Expression { text, error, read: Vec::new() }
        }
        Fault::Part { bytes, size } => Problem::PartOfElement { bytes, size },
        Fault::Cycle => Problem::Cycle,
        Fault::Overlap => Problem::Overlap,
        Fault::Handle { value, kind, error } => {
            let kind = plan.handle_kinds.get(usize::from(kind));
            let expected = kind.map(|kind| kind.name.to_string()).unwrap_or_default();
            Problem::Handle { value, expected, error }
        }
        Fault::Limit => Problem::Limit { limit: "copied_bytes", value: limits.copied_bytes },
        Fault::Handles => {
            let value = limits.handles.min((1 << INDEX_BITS) - 1);
            Problem::Limit { limit: "handles", value: value.into() }
        }
        Fault::Misfit { value, width } => Problem::DoesNotFit { value, width },
        Fault::Unreachable => Problem::Unreachable,
        Fault::Planted { address } => Problem::Planted { address },
        Fault::Range { value, ranges } => Problem::OutOfRange { value, ranges },
    };
    match path {
        Some(path) => Problem::Within { path, count: None, problem: Box::new(problem) },
        None => problem,
    }
}

/// The same of data whose elements an expression counts, which is named where the count may be what is wrong.
#[cold]
pub fn counted_problem(
    space: &Space<'_>,
    fault: Fault,
    path: Option<String>,
    reach: Reach,
) -> Problem {
    let is_of_count =
        matches!(fault, Fault::Outside { .. } | Fault::Negative { .. } | Fault::Part { .. });
    let mut problem = problem(space, fault, path);
    if let (Problem::Within { count, .. }, Reach::Counted { expr, .. }, true) =
        (&mut problem, reach, is_of_count)
    {
        let expression = space.plan.expressions.get(usize::from(expr));
        *count = expression.map(|expression| expression.text.to_string());
    }
    problem
}
