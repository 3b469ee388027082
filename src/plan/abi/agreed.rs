//! Records that compilers of one ABI pass by value in different ways. They are refused.
//!
//! Nothing here is about one ABI; what only concerns the classes of x86-64 is refused there.
use super::AbiError;
use crate::plan::layout::{Calculator, body_of};
use crate::signature::{Record, RecordBody, RecordKind, Scope, Span, Type, TypeKind};
use rustc_hash::FxHashSet;

const NAMELESS: &str = "a record that has nothing but unnamed bit-fields (to gcc it is an argument, \
                        to clang it is none)";

/// Checks the type of a parameter or result.
///
/// - Members that are `_Atomic`: clang passes the record in memory, GCC as if they were not.
/// - An unnamed bit-field in a union, of width 0 too: GCC takes it for a member of its type.
/// - Bytes but no data (`struct { int : 3; }`): an argument to GCC, none at all to clang.
/// - No bytes, aligned to more than the stack is: GCC's callers and callees take different places
///   for what follows on the stack.
///
/// Arrays without elements are no reason to refuse a record, although clang passes some of these
/// otherwise: what GCC does is followed, which compiles the libraries of the systems that we run on.
/// Each ABI says where it does.
pub(super) fn check<'a>(
    ty: &'a Type,
    scope: &'a Scope,
    layouts: &mut Calculator<'a>,
) -> Result<(), AbiError> {
    let TypeKind::Record(record) = &ty.kind else { return Ok(()) };
    let extent = layouts.extent(ty)?;
    if extent.size == 0 && extent.align > 16 {
        return Err(refused("a record without bytes that is aligned to more than 16", ty.span));
    }
    let mut walk = Walk { scope, layouts, seen: FxHashSet::default(), holds_data: false };
    walk.record(record, ty.span)?;
    if !walk.holds_data && extent.size > 0 {
        return Err(refused(NAMELESS, ty.span));
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
            let mut has_elements = true;
            while let TypeKind::Array { element, length } = &ty.kind {
                has_elements &= !self.layouts.is_hollow(length.as_ref())?;
                ty = element;
            }
            if ty.quals.is_atomic {
                return Err(refused("a record with `_Atomic` members", ty.span));
            }
            match &ty.kind {
                TypeKind::Record(inner) => {
                    let known = self.holds_data;
                    self.record(inner, ty.span)?;
                    self.holds_data &= has_elements || known;
                }
                _ => self.holds_data |= has_elements,
            }
        }
        Ok(())
    }
}
