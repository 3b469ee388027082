//! Records that compilers of one ABI pass by value in different ways. They are refused.
//!
//! Nothing here is about one ABI; what only concerns the classes of x86-64 is refused there.
use super::AbiError;
use crate::plan::layout::{Calculator, body_of};
use crate::signature::{Record, RecordBody, RecordKind, Scope, Span, Type, TypeKind};
use rustc_hash::FxHashSet;

/// Checks the type of a parameter or result.
///
/// - Members that are `_Atomic`: clang passes the record in memory, GCC as if they were not.
/// - A flexible array member: clang passes the record in memory, GCC ignores the array.
/// - An array of no elements: GCC looks at its element type, depending on the array's offset.
/// - An unnamed bit-field in a union, of width 0 too: GCC takes it for a member of its type.
/// - Bytes but no data (`struct { int : 3; }`): an argument, or none at all.
pub(super) fn check<'a>(
    ty: &'a Type,
    scope: &'a Scope,
    layouts: &mut Calculator<'a>,
) -> Result<(), AbiError> {
    let TypeKind::Record(record) = &ty.kind else { return Ok(()) };
    let mut walk = Walk { scope, layouts, seen: FxHashSet::default(), holds_data: false };
    walk.record(record, ty.span)?;
    if !walk.holds_data && walk.layouts.extent(ty)?.size > 0 {
        return Err(refused("a record without named members", ty.span));
    }
    Ok(())
}

fn refused(what: &'static str, span: Span) -> AbiError {
    AbiError::Disputed { what, span }
}

/// A walk through everything that a record holds by value; each body is looked at once.
struct Walk<'a, 'b> {
    scope: &'a Scope,
    layouts: &'b mut Calculator<'a>,
    seen: FxHashSet<*const RecordBody>,
    holds_data: bool,
}

impl<'a> Walk<'a, '_> {
    fn record(&mut self, record: &'a Record, span: Span) -> Result<(), AbiError> {
        let body = body_of(record, self.scope, span)?;
        if !self.seen.insert(body) {
            return Ok(());
        }
        for field in &body.fields {
            if field.bits.is_some() {
                if record.kind == RecordKind::Union && field.name.is_none() {
                    return Err(refused("a union with unnamed bit-fields", field.ty.span));
                }
                self.holds_data |= field.name.is_some();
                continue;
            }
            let mut ty = &field.ty;
            while let TypeKind::Array { element, length } = &ty.kind {
                if length.is_none() {
                    return Err(refused("a struct with a flexible array member", ty.span));
                }
                if self.layouts.extent(ty)?.size == 0 && self.layouts.extent(element)?.size > 0 {
                    return Err(refused("a record with an array of no elements", ty.span));
                }
                ty = element;
            }
            if ty.quals.is_atomic {
                return Err(refused("a record with `_Atomic` members", ty.span));
            }
            match &ty.kind {
                TypeKind::Record(inner) => self.record(inner, ty.span)?,
                _ => self.holds_data = true,
            }
        }
        Ok(())
    }
}
