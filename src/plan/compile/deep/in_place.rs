//! What may be passed in place: data that is the same bytes on both sides, and that nobody changes.
use super::super::Compiler;
use super::super::leaves::{Contents, Leaf, contents};
use crate::plan::abi::Abi;
use crate::plan::layout::{Extent, Scalar, scalar_of};
use crate::plan::moves::MoveKind;
use crate::signature::{Float, NoteKind, Type, TypeKind};

impl Compiler<'_> {
    /// Size and alignment of data that is the same bytes on both sides, as the host has it. `read`:
    /// native code reads it, so that a `bool` must be one.
    pub(in super::super) fn plain(&self, ty: &Type, read: bool) -> Option<Extent> {
        if ty.kind == TypeKind::Void {
            return Some(Extent { size: 1, align: 1 });
        }
        let (guest, host) = self.extents(ty)?;
        if guest.size != host.size {
            return None;
        }
        if let Some(scalar) = scalar_of(ty) {
            let converted = scalar == Scalar::Bool && read;
            let ranged = ty.has(|note| matches!(note, NoteKind::Range(..)));
            let extended =
                scalar == Scalar::Float(Float::LongDouble) && self.target.abi == Abi::SysvX86_64;
            let other = scalar == Scalar::Pointer || converted || ranged || extended;
            return (!other).then_some(host);
        }
        if ty.quals.is_atomic {
            return None;
        }
        let Contents { leaves, pointers, ranged, narrow: _, host_only } =
            contents(ty, self.memories()).ok()?;
        let same = |leaf: &Leaf| {
            leaf.memory == leaf.host
                && match leaf.kind {
                    MoveKind::Bytes(_) | MoveKind::Bits(_) => true,
                    MoveKind::Bool => !read,
                    MoveKind::Clear(_)
                    | MoveKind::Signed32
                    | MoveKind::Unsigned32
                    | MoveKind::Extended => false,
                }
        };
        let plain = pointers.is_empty() && ranged.is_empty() && !host_only;
        (plain && leaves.iter().all(same)).then_some(host)
    }

    /// Whether native code cannot write to the guest's memory through the parameters other than
    /// `index`, nor to the call's copies of it through pointers that are in them.
    pub(in super::super) fn others_only_read(&self, index: usize) -> bool {
        let quiet = |ty: &Type| {
            let Some(pointee) = ty.pointee() else { return true };
            match &pointee.kind {
                TypeKind::Function(_) => true,
                TypeKind::Record(record) if !self.is_complete(record) => true,
                // A cell of the call's own.
                TypeKind::Pointer(_) => {
                    use NoteKind::{
                        CountedBy, CountedByOrNull, In, Inout, NullTerminated, SizedBy,
                    };
                    let other = |note: &NoteKind| {
                        matches!(
                            note,
                            CountedBy(_)
                                | CountedByOrNull(_)
                                | SizedBy(_)
                                | NullTerminated
                                | In
                                | Inout
                        )
                    };
                    !pointee.quals.is_const && !ty.has(other)
                }
                TypeKind::Void => pointee.quals.is_const,
                _ => {
                    let found = contents(pointee, self.memories());
                    pointee.quals.is_const && found.is_ok_and(|found| found.pointers.is_empty())
                }
            }
        };
        self.all.iter().enumerate().all(|(other, param)| other == index || quiet(&param.ty))
    }
}
