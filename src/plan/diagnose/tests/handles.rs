//! Why a guest value is no handle that the call can use.
use super::*;
use crate::plan::LostLender;
use crate::plan::handles::HandleError;

#[test]
fn handles_say_why_they_cannot_be_used() {
    let object = std::ptr::without_provenance_mut(0x1000);
    let handle_op = |fate, null| Op::Handle { slot: 0, to: at(16), kind: 0, null, fate };
    let check = |prepare: &dyn Fn(&StoreBlock) -> u32, fate| {
        let mut stopped = Stopped::new(&[0]);
        let value = prepare(&stopped.store);
        stopped.slots[0].low = u64::from(value);
        match stopped.diagnose(&plan(handle_op(fate, Null::Refused), &[WasmType::I32])) {
            (subject, Problem::Handle { value: named, expected, error }) => {
                assert_eq!((subject, named, &*expected), (first(), value.into(), "struct db"));
                Some(error)
            }
            (_, Problem::Changed) => None,
            (_, other) => panic!("{other:?}"),
        }
    };
    let adopt = |store: &StoreBlock, kind, borrowed| {
        store
            .with_handles(|table| table.adopt(object, kind, borrowed, None, std::ptr::null()))
            .expect("there is room")
    };
    assert_eq!(check(&|_| 77, Fate::Kept), Some(HandleError::Forged));
    assert_eq!(check(&|s| adopt(s, HandleType(4), true), Fate::Kept), Some(HandleError::WrongType));
    assert_eq!(check(&|s| adopt(s, KIND, true), Fate::Kept), None);
    assert_eq!(check(&|s| adopt(s, KIND, true), Fate::Invalidated), None);
    assert_eq!(check(&|s| adopt(s, KIND, true), Fate::Consumed), Some(HandleError::Borrowed));
    assert_eq!(check(&|s| adopt(s, KIND, false), Fate::Consumed), None);
    let busy = |s: &StoreBlock| {
        let handle = adopt(s, KIND, false);
        s.with_handles(|table| table.enter(handle, KIND)).expect("it is alive");
        handle
    };
    assert_eq!(check(&busy, Fate::Kept), None);
    assert_eq!(check(&busy, Fate::Invalidated), Some(HandleError::Busy));
    let stale = |s: &StoreBlock| {
        let handle = adopt(s, KIND, false);
        s.with_handles(|table| table.consume(handle));
        handle
    };
    assert_eq!(check(&stale, Fate::Kept), Some(HandleError::Stale));
    assert_eq!(of(handle_op(Fate::Kept, Null::Refused), &[0]), Problem::Null);
    assert_eq!(of(handle_op(Fate::Kept, Null::Allowed), &[0]), Problem::Changed);
}

#[test]
fn a_lender_that_died_is_told() {
    let owner = Ownership::Handle { slot: 0, back: false };
    let from = FrameLayout::result_integer();
    let give = Op::Give { take: 0, to: at(LOCAL), from, owner, unless: None, param: 2 };
    let handle = Op::Handle { slot: 0, to: at(16), kind: 0, null: Null::Refused, fate: Fate::Kept };
    let gone = Plan { ops: Box::new([give, handle]), ..plan(give, &[WasmType::I32]) };
    let result = || Subject::Result { ty: "int".to_owned() };
    let lost = |lender| (result(), Problem::LenderGone { lender });
    assert_eq!(Stopped::new(&[77]).diagnose(&gone), lost(LostLender::Gone));
    let consume = Op::Consume { slot: 0, condition: None };
    let consumed = Plan { ops: Box::new([give, handle, consume]), ..gone.clone() };
    assert_eq!(Stopped::new(&[77]).diagnose(&consumed), lost(LostLender::Consumed));
    let (to, parent) = (at(LOCAL), Slot::new(0));
    let adopt = Op::Adopt { from, to, kind: 0, borrowed: false, parent };
    let plan = Plan { ops: Box::new([adopt, handle]), ..gone };
    assert_eq!(Stopped::new(&[77]).diagnose(&plan), lost(LostLender::Gone));
    assert_eq!(subject_of(&plan, 0), result());
}

#[test]
fn a_handle_in_a_64_bit_slot_is_32_bits() {
    let op = Op::Handle { slot: 0, to: at(16), kind: 0, null: Null::Refused, fate: Fate::Kept };
    let value = 1 << 40;
    let (expected, error) = ("struct db".to_owned(), HandleError::Forged);
    assert_eq!(
        Stopped::new(&[value]).diagnose(&plan(op, &[WasmType::I64])).1,
        Problem::Handle { value, expected, error }
    );
}
