//! One op of a callback with another value in one of its fields.
use super::fields::{Fields, RETURNS};
use super::{WIDTHS, numbers};
use crate::plan::op::{At, CallbackOp, Each, Fetch, Null, Op, Reach, Slot};

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
            C::Pair { from, slot, extended } => {
                self.at("from", |from| C::Pair { from, slot, extended });
                self.ops("slot", numbers(slot).map(|slot| C::Pair { from, slot, extended }));
                self.ops("conversion", [C::Pair { from, slot, extended: !extended }]);
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
                let reach = Reach::Text(1);
                self.ops("variant", [C::Copy { from, slot, reach, back: false }]);
            }
            C::Copy { from, slot, reach, back } => {
                self.at("from", |from| C::Copy { from, slot, reach, back });
                self.ops("slot", numbers(slot).map(|slot| C::Copy { from, slot, reach, back }));
                self.ops("direction", [C::Copy { from, slot, reach, back: !back }]);
                let reaches = match reach {
                    Reach::Text(unit) => {
                        vec![Reach::Text(unit * 2), Reach::Counted { expr: 0, size: 1 }]
                    }
                    Reach::Counted { expr, size } => [
                        Reach::Text(1),
                        Reach::Counted { expr, size: size + 1 },
                        Reach::Counted { expr, size: 0 },
                    ]
                    .into_iter()
                    .chain(numbers(expr).map(|expr| Reach::Counted { expr, size }))
                    .collect(),
                    Reach::Object { size, moves } => [
                        Reach::Text(1),
                        Reach::Object { size: size + 1, moves },
                        Reach::Object { size: 0, moves },
                    ]
                    .into_iter()
                    .chain(numbers(moves).map(|moves| Reach::Object { size, moves }))
                    .collect(),
                    Reach::Pointers { expr, each } => {
                        let others = match each {
                            Each::Text(unit) => vec![Each::Text(unit * 2), Each::Handle(0)],
                            Each::Handle(kind) => numbers(kind)
                                .map(Each::Handle)
                                .into_iter()
                                .chain([Each::Text(1)])
                                .collect(),
                        };
                        let exprs = numbers(expr.unwrap_or(0)).map(Some);
                        exprs
                            .into_iter()
                            .chain([None])
                            .filter(|other| *other != expr)
                            .map(|expr| Reach::Pointers { expr, each })
                            .chain(others.into_iter().map(|each| Reach::Pointers { expr, each }))
                            .chain([Reach::Text(1), Reach::Counted { expr: 0, size: 8 }])
                            .collect()
                    }
                };
                self.ops(
                    "size",
                    reaches.into_iter().map(|reach| C::Copy { from, slot, reach, back }),
                );
                self.ops("variant", [C::Inside { from, slot }]);
            }
            C::Handle { from, slot, kind } => {
                self.at("from", |from| C::Handle { from, slot, kind });
                self.ops("slot", numbers(slot).map(|slot| C::Handle { from, slot, kind }));
                self.ops("entry", numbers(kind).map(|kind| C::Handle { from, slot, kind }));
                let returns = crate::plan::op::Returns::Int64;
                self.ops("variant", [C::Inside { from, slot }, C::Scalar { from, slot, returns }]);
            }
            C::Object { slot, size, moves } => {
                self.ops("slot", numbers(slot).map(|slot| C::Object { slot, size, moves }));
                let sizes = [size - 1, size + 1, 0];
                self.ops("size", sizes.map(|size| C::Object { slot, size, moves }));
                self.ops("entry", numbers(moves).map(|moves| C::Object { slot, size, moves }));
            }
            C::Room { size } => {
                self.ops("size", [size - 1, size + 1, 0].map(|size| C::Room { size }));
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
            C::ReplyCookie => {
                let fetch = Fetch::Integer(crate::plan::op::Width::U64);
                self.ops("variant", [C::Reply { fetch }, C::ReplyText { unit: 1, null: NULLS[0] }]);
            }
            C::ReplyVector => self.ops("variant", [C::Reply { fetch: Fetch::Float64 }]),
            C::ReplySplit { size, moves } => {
                let sizes = [size - 1, size + 1, 0];
                self.ops("size", sizes.map(|size| C::ReplySplit { size, moves }));
                self.ops("entry", numbers(moves).map(|moves| C::ReplySplit { size, moves }));
                self.at("variant", |hidden| C::ReplyBehind { size, moves, hidden });
            }
            C::ReplyBehind { size, moves, hidden } => {
                let sizes = [size - 1, size + 1, 0];
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
                    [C::ReplyText { unit: unit * 2, null }, C::ReplyText { unit: 0, null }],
                );
                self.ops("null", NULLS.map(|null| C::ReplyText { unit, null }));
            }
            C::ReplyBuffer { expr, size, align, null } => {
                let with = |size, align| C::ReplyBuffer { expr, size, align, null };
                self.ops("size", [with(size + 1, align), with(0, align)]);
                self.ops("align", [with(size, align * 2), with(size, 0)]);
                self.ops("null", NULLS.map(|null| C::ReplyBuffer { expr, size, align, null }));
                let others = [Some(0), Some(7), None];
                self.ops("count", others.map(|expr| C::ReplyBuffer { expr, size, align, null }));
            }
        }
    }
}
