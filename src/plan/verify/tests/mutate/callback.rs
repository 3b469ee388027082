//! One op of a callback with another value in one of its fields.
use super::fields::{Fields, RETURNS};
use super::{WIDTHS, numbers};
use crate::plan::op::{At, CallbackOp, Fetch, Lent, Null, Op, Operand, Slot};

const NULLS: [Null; 3] = [Null::IfEmpty, Null::Allowed, Null::Refused];

impl Fields<'_> {
    fn ops(&mut self, field: &'static str, values: impl IntoIterator<Item = CallbackOp>) {
        self.all.extend(values.into_iter().map(|op| (field, Op::Callback(op))));
    }

    fn at(&mut self, field: &'static str, f: impl Fn(At) -> CallbackOp) {
        let places = self.places.to_vec();
        self.ops(field, places.into_iter().map(f));
    }

    pub(super) fn callback(&mut self, op: CallbackOp) {
        use CallbackOp as C;
        match op {
            C::Pass { slot, to, callback, null, closure, kept } => {
                self.ops(
                    "slot",
                    numbers(slot).map(|slot| C::Pass { slot, to, callback, null, closure, kept }),
                );
                self.at("to", |to| C::Pass { slot, to, callback, null, closure, kept });
                self.ops(
                    "entry",
                    numbers(callback).map(|callback| C::Pass {
                        slot,
                        to,
                        callback,
                        null,
                        closure,
                        kept,
                    }),
                );
                self.ops(
                    "null",
                    NULLS.map(|null| C::Pass { slot, to, callback, null, closure, kept }),
                );
                self.at("local", |closure| C::Pass { slot, to, callback, null, closure, kept });
                self.ops("kept", [C::Pass { slot, to, callback, null, closure, kept: !kept }]);
            }
            C::Keep { closure, holder } => {
                self.at("operand", |closure| C::Keep { closure, holder });
                let others = (0..8).map(Slot::new).chain([None]);
                self.ops("holder", others.map(|holder| C::Keep { closure, holder }));
            }
            C::KeepReturned { closure, handle } => {
                self.at("operand", |closure| C::KeepReturned { closure, handle });
                self.at("operand", |handle| C::KeepReturned { closure, handle });
            }
            C::Scalar { from, slot, returns } => {
                self.at("from", |from| C::Scalar { from, slot, returns });
                self.ops("slot", numbers(slot).map(|slot| C::Scalar { from, slot, returns }));
                self.ops("returns", RETURNS.map(|returns| C::Scalar { from, slot, returns }));
                self.ops("variant", [C::Inside { from, slot }]);
            }
            C::ScalarWithin { from, slot, returns, range } => {
                let with =
                    |from, slot, returns, range| C::ScalarWithin { from, slot, returns, range };
                self.at("from", |at| with(Operand { at, ..from }, slot, returns, range));
                let widths = WIDTHS.map(|width| Operand { width, ..from });
                self.ops("width", widths.map(|from| with(from, slot, returns, range)));
                self.ops("slot", numbers(slot).map(|slot| with(from, slot, returns, range)));
                self.ops("returns", RETURNS.map(|returns| with(from, slot, returns, range)));
                self.ops("entry", numbers(range).map(|range| with(from, slot, returns, range)));
                self.ops("variant", [C::Scalar { from: from.at, slot, returns }]);
            }
            C::Pair { low, high, slot, extended } => {
                self.at("from", |low| C::Pair { low, high, slot, extended });
                self.at("from", |high| C::Pair { low, high, slot, extended });
                self.ops("slot", numbers(slot).map(|slot| C::Pair { low, high, slot, extended }));
                self.ops("conversion", [C::Pair { low, high, slot, extended: !extended }]);
            }
            C::Vector { from, slot } => {
                self.at("from", |from| C::Vector { from, slot });
                self.ops("slot", numbers(slot).map(|slot| C::Vector { from, slot }));
            }
            C::Cookie { from, slot } => {
                self.at("from", |from| C::Cookie { from, slot });
                self.ops("slot", numbers(slot).map(|slot| C::Cookie { from, slot }));
                let returns = crate::plan::op::Returns::Int64;
                self.ops("variant", [C::Inside { from, slot }, C::Scalar { from, slot, returns }]);
            }
            C::Inside { from, slot } => {
                self.at("from", |from| C::Inside { from, slot });
                self.ops("slot", numbers(slot).map(|slot| C::Inside { from, slot }));
                self.ops("variant", [C::Copy { from, slot, root: 0 }, C::Function { from, slot }]);
            }
            C::Function { from, slot } => {
                self.at("from", |from| C::Function { from, slot });
                self.ops("slot", numbers(slot).map(|slot| C::Function { from, slot }));
                self.ops("variant", [C::Inside { from, slot }, C::Cookie { from, slot }]);
            }
            C::Descriptor { from, slot, kind } => {
                self.at("from", |from| C::Descriptor { from, slot, kind });
                self.ops("slot", numbers(slot).map(|slot| C::Descriptor { from, slot, kind }));
                self.ops("entry", numbers(kind).map(|kind| C::Descriptor { from, slot, kind }));
                let returns = crate::plan::op::Returns::Int32;
                self.ops("variant", [C::Scalar { from, slot, returns }]);
            }
            C::Copy { from, slot, root } => {
                self.at("from", |from| C::Copy { from, slot, root });
                self.ops("slot", numbers(slot).map(|slot| C::Copy { from, slot, root }));
                self.ops("entry", numbers(root).map(|root| C::Copy { from, slot, root }));
                self.ops("variant", [C::Inside { from, slot }]);
            }
            C::Handle { from, slot, kind, lent } => {
                self.at("from", |from| C::Handle { from, slot, kind, lent });
                self.ops("slot", numbers(slot).map(|slot| C::Handle { from, slot, kind, lent }));
                self.ops("entry", numbers(kind).map(|kind| C::Handle { from, slot, kind, lent }));
                let others = (0..4).map(Lent::By).chain([Lent::Callback, Lent::Static]);
                self.ops("lender", others.map(|lent| C::Handle { from, slot, kind, lent }));
                let returns = crate::plan::op::Returns::Int64;
                self.ops("variant", [C::Inside { from, slot }, C::Scalar { from, slot, returns }]);
            }
            C::Object { slot, size, moves, behind } => {
                let with = |slot, size, moves, behind| C::Object { slot, size, moves, behind };
                self.ops("slot", numbers(slot).map(|slot| with(slot, size, moves, behind)));
                let sizes = [size.wrapping_sub(1), size.wrapping_add(1), 0];
                self.ops("size", sizes.map(|size| with(slot, size, moves, behind)));
                self.ops("entry", numbers(moves).map(|moves| with(slot, size, moves, behind)));
                self.at("operand", |at| with(slot, size, moves, Some(at)));
                self.ops("operand", [with(slot, size, moves, None)]);
            }
            C::Room { size } => {
                self.ops(
                    "size",
                    [size.wrapping_sub(1), size.wrapping_add(1), 0].map(|size| C::Room { size }),
                );
            }
            C::Enter => self.ops("variant", [C::ReplyVector]),
            C::Reply { fetch } => {
                let all = WIDTHS.map(Fetch::Integer).into_iter();
                let all = all.chain([Fetch::Bool, Fetch::Float32, Fetch::Float64, Fetch::Whole]);
                self.ops(
                    "fetch",
                    all.map(|fetch| C::Reply { fetch })
                        .filter(|other| *other != C::Reply { fetch }),
                );
            }
            C::ReplyWithin { fetch, range } => {
                let all = WIDTHS.map(Fetch::Integer).into_iter();
                let all = all.chain([Fetch::Bool, Fetch::Float32, Fetch::Float64, Fetch::Whole]);
                self.ops("fetch", all.map(|fetch| C::ReplyWithin { fetch, range }));
                self.ops("entry", numbers(range).map(|range| C::ReplyWithin { fetch, range }));
                self.ops("variant", [C::Reply { fetch }]);
            }
            C::ReplyDescriptor { kind } => {
                self.ops("entry", numbers(kind).map(|kind| C::ReplyDescriptor { kind }));
                let fetch = Fetch::Integer(crate::plan::op::Width::I32);
                self.ops("variant", [C::Reply { fetch }]);
            }
            C::ReplyCopy { root } => {
                self.ops("entry", numbers(root).map(|root| C::ReplyCopy { root }));
                self.ops("variant", [C::ReplyText { unit: 1, null: NULLS[2] }]);
            }
            C::ReplyFunction { callback, null } => {
                let entries = numbers(callback);
                self.ops("entry", entries.map(|callback| C::ReplyFunction { callback, null }));
                self.ops("null", NULLS.map(|null| C::ReplyFunction { callback, null }));
                let fetch = Fetch::Integer(crate::plan::op::Width::U64);
                self.ops("variant", [C::Reply { fetch }]);
            }
            C::ReplyCookie => {
                let fetch = Fetch::Integer(crate::plan::op::Width::U64);
                self.ops("variant", [C::Reply { fetch }, C::ReplyText { unit: 1, null: NULLS[0] }]);
            }
            C::ReplyVector => self.ops("variant", [C::Reply { fetch: Fetch::Float64 }]),
            C::ReplySplit { size, moves } => {
                let sizes = [size.wrapping_sub(1), size.wrapping_add(1), 0];
                self.ops("size", sizes.map(|size| C::ReplySplit { size, moves }));
                self.ops("entry", numbers(moves).map(|moves| C::ReplySplit { size, moves }));
                self.at("variant", |hidden| C::ReplyBehind { size, moves, hidden });
            }
            C::ReplyBehind { size, moves, hidden } => {
                let sizes = [size.wrapping_sub(1), size.wrapping_add(1), 0];
                self.ops("size", sizes.map(|size| C::ReplyBehind { size, moves, hidden }));
                self.ops(
                    "entry",
                    numbers(moves).map(|moves| C::ReplyBehind { size, moves, hidden }),
                );
                self.at("operand", |hidden| C::ReplyBehind { size, moves, hidden });
                self.ops("variant", [C::ReplySplit { size, moves }]);
            }
            C::ReplyHandle { kind, null } => {
                self.ops("entry", numbers(kind).map(|kind| C::ReplyHandle { kind, null }));
                self.ops("null", NULLS.map(|null| C::ReplyHandle { kind, null }));
            }
            C::ReplyText { unit, null } => {
                self.ops(
                    "size",
                    [
                        C::ReplyText { unit: unit.wrapping_mul(2), null },
                        C::ReplyText { unit: 0, null },
                    ],
                );
                self.ops("null", NULLS.map(|null| C::ReplyText { unit, null }));
            }
            C::ReplyBuffer { expr, size, align, null } => {
                let with = |size, align| C::ReplyBuffer { expr, size, align, null };
                self.ops("size", [with(size.wrapping_add(1), align), with(0, align)]);
                self.ops("align", [with(size, align.wrapping_mul(2)), with(size, 0)]);
                self.ops("null", NULLS.map(|null| C::ReplyBuffer { expr, size, align, null }));
                let others = [Some(0), Some(7), None];
                self.ops("count", others.map(|expr| C::ReplyBuffer { expr, size, align, null }));
            }
        }
    }
}
