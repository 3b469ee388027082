//! What destroys handles. Only the interface knows, so that this needs its names, which a plan that
//! comes from elsewhere does not have: [`verify`](super::verify) leaves it open.
use super::{Fault, VerifyError};
use crate::plan::{Plan, Purpose};
use crate::signature::{NoteKind, RecordKind, Scope, Type, TypeKind};
use std::sync::Arc;

/// Decides whether handles are destroyed by what the interface says, if a plan says that they are.
///
/// # Errors
/// The first handle type that is not.
pub fn verify_drops(plan: &Plan, scope: &Scope) -> Result<(), VerifyError> {
    for kind in &plan.handle_kinds {
        let said = said_of(&kind.name, plan, scope);
        let found = kind.drop.and_then(|callee| plan.callees.get(usize::from(callee)));
        let right = match (kind.drop, found) {
            (Some(_), Some(callee)) => {
                callee.purpose == Purpose::Drop && said.as_ref() == Some(&callee.symbol)
            }
            (Some(_), None) => false,
            // Nothing is harmed by what nobody destroys.
            (None, _) => true,
        };
        if !right {
            let fault = Fault::Disagrees { what: "the destructor", subject: kind.name.to_string() };
            return Err(VerifyError { op: None, context: "handle types", fault });
        }
    }
    plan.callbacks.iter().try_for_each(|callback| verify_drops(&callback.plan, scope))
}

/// The function that destroys handles of that name.
fn said_of(name: &str, plan: &Plan, scope: &Scope) -> Option<Arc<str>> {
    let record = [("struct ", RecordKind::Struct), ("union ", RecordKind::Union)];
    let tag = record.iter().find_map(|(word, kind)| Some((*kind, name.strip_prefix(word)?)));
    let drop = |kind: &NoteKind| match kind {
        NoteKind::Drop(function) => Some(Arc::clone(&function.name)),
        _ => None,
    };
    if let Some((kind, tag)) = tag {
        let notes = scope.record_notes.get(&(kind, tag.into()))?;
        return notes.iter().find_map(|note| drop(&note.kind));
    }
    let function = &plan.prototype.function;
    let types = function.params.iter().map(|param| &param.ty).chain([&function.result]);
    let mut types = types.flat_map(|ty| [Some(ty), ty.pointee()]).flatten();
    let named = |ty: &&Type| {
        let own = ty.alias.as_ref().map_or("int descriptor", |alias| alias);
        !matches!(ty.kind, TypeKind::Pointer(_))
            && ty.has(|n| *n == NoteKind::Handle)
            && own == name
    };
    types.find(named)?.notes.iter().find_map(|note| drop(&note.kind))
}
