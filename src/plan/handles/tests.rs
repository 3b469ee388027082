//! What guests and calls may do with handles.
use super::*;
use std::mem::offset_of;

const KIND: HandleType = HandleType(7);

fn object(n: usize) -> *mut c_void {
    ptr::without_provenance_mut(0x1000 + n * 16)
}

fn owned(table: &mut HandleTable, n: usize, parent: Option<u32>) -> u32 {
    table.adopt(object(n), KIND, false, parent, ptr::dangling()).expect("there is room")
}

#[test]
fn entries_are_laid_out_as_compiled_code_reads_them() {
    assert_eq!((size_of::<Entry>(), align_of::<Entry>()), (64, 8));
    assert_eq!(offset_of!(Entry, pointer), 0);
    assert_eq!(offset_of!(Entry, kind), 8);
    assert_eq!(offset_of!(Entry, generation), 12);
    assert_eq!(offset_of!(Entry, handle), 16);
    assert_eq!(offset_of!(Entry, owners), 24);
    assert_eq!(offset_of!(Entry, busy), 28);
    assert_eq!(offset_of!(Entry, parent), 32);
    assert_eq!(offset_of!(Entry, lends), 36);
    assert_eq!(offset_of!(Entry, drop), 40);
    assert_eq!(offset_of!(Entry, serial), 48);
    assert_eq!(offset_of!(Entry, captured), 56);
    assert_eq!(offset_of!(Entry, flags), 60);
}

#[expect(unsafe_code, reason = "reads what compiled code reads")]
/// What compiled code does: see `lower::handles` and `jump::emit`.
fn as_compiled_code(table: &HandleTable, handle: u32, kind: HandleType) -> Option<*mut c_void> {
    let (first, count) = table.raw_parts();
    let index = index_of(handle) as usize;
    if index >= count {
        return None;
    }
    // SAFETY: so many entries are there.
    let entry = unsafe { &*first.add(index) };
    (entry.handle == handle && entry.kind == kind).then_some(entry.pointer)
}

#[test]
fn compiled_code_takes_what_is_usable_and_nothing_else() {
    let other = HandleType(KIND.0 + 1);
    let mut table = HandleTable::new(10);
    let gone = owned(&mut table, 1, None);
    let parent = owned(&mut table, 2, None);
    let child = owned(&mut table, 3, Some(parent));
    table.consume(gone);
    let look = |table: &HandleTable| {
        let near =
            [gone, parent, child].map(|handle| [handle, handle ^ 1, handle + (1 << INDEX_BITS)]);
        for handle in near.concat().into_iter().chain([0, 1, 1 << INDEX_BITS, 9, u32::MAX]) {
            for kind in [KIND, other, HandleType(0)] {
                let found = as_compiled_code(table, handle, kind);
                // All of index 0 is NULL, which is looked at before.
                if found.is_some() && handle != 0 {
                    assert_eq!(found, table.usable(handle, kind), "{handle:#x}");
                }
            }
        }
        [gone, parent, child].map(|handle| as_compiled_code(table, handle, KIND).is_some())
    };
    assert_eq!(look(&table), [false, true, true]);
    table.enter(parent, KIND).expect("it is alive");
    table.hold(parent, KIND, true, std::iter::once(parent)).expect("nobody has it");
    assert_eq!(look(&table), [false; 3], "the table is asked");
    table.give_up(parent);
    table.leave(parent);
    assert_eq!(look(&table), [false, true, true]);
    let again = owned(&mut table, 1, None);
    assert_eq!(index_of(again), index_of(gone), "the slot is used once more");
    assert_eq!(look(&table), [false, true, true]);
    table.consume(parent);
    assert_eq!(look(&table), [false; 3]);
}

#[test]
fn one_pointer_has_one_handle_and_as_many_owners_as_it_was_given_away() {
    let mut table = HandleTable::new(10);
    let first = owned(&mut table, 1, None);
    assert_eq!(owned(&mut table, 1, None), first);
    assert!(table.consume(first).is_empty());
    assert!(table.get(first, KIND).is_ok());
    table.consume(first);
    assert_eq!(table.get(first, KIND).err(), Some(HandleError::Stale));
    let again = owned(&mut table, 1, None);
    assert_ne!(again, first);
    assert_eq!(table.get(first, KIND).err(), Some(HandleError::Stale));
}

#[test]
fn what_is_no_handle_is_told_from_what_was_one() {
    let mut table = HandleTable::new(10);
    let handle = owned(&mut table, 1, None);
    assert_eq!(table.get(0, KIND).err(), Some(HandleError::Forged));
    assert_eq!(table.get(u32::MAX, KIND).err(), Some(HandleError::Forged));
    assert_eq!(table.get(handle + (1 << INDEX_BITS), KIND).err(), Some(HandleError::Forged));
    assert_eq!(table.get(handle - (1 << INDEX_BITS), KIND).err(), Some(HandleError::Forged));
    assert_eq!(table.get(handle, HandleType(8)).err(), Some(HandleError::WrongType));
}

#[test]
fn children_and_loans_die_with_their_lender() {
    let mut table = HandleTable::new(10);
    let parent = owned(&mut table, 1, None);
    let child = owned(&mut table, 2, Some(parent));
    let grandchild = owned(&mut table, 3, Some(child));
    let loan = Loan { instance: 0, address: 64, size: 5, back: 0 };
    table.lend(grandchild, KIND, loan).expect("it is alive");
    assert_eq!(table.consume(parent), vec![loan]);
    assert_eq!(table.get(grandchild, KIND).err(), Some(HandleError::Stale));
    assert_eq!(table.live(), 0);
}

#[test]
fn an_invalidated_lender_lives_on_and_so_do_owned_children() {
    let mut table = HandleTable::new(10);
    let lender = owned(&mut table, 1, None);
    let child = owned(&mut table, 2, Some(lender));
    let lent = table.adopt(object(3), KIND, true, Some(lender), ptr::null()).expect("room");
    let loan = Loan { instance: 0, address: 64, size: 1 << 20, back: 0 };
    table.lend(lender, KIND, loan).expect("it is alive");
    assert!(!table.end_quietly(lender), "something dies");
    assert_eq!((table.lent(), table.get(lent, KIND).is_ok()), (1, true));
    assert_eq!(table.end_loans(lender), vec![loan], "too much to be kept");
    assert!(table.end_loans(lender).is_empty());
    assert!(table.get(lender, KIND).is_ok() && table.get(child, KIND).is_ok());
    assert_eq!(table.get(lent, KIND).err(), Some(HandleError::Stale));
}

#[test]
fn a_busy_child_keeps_its_ancestors_from_being_consumed() {
    let mut table = HandleTable::new(10);
    let parent = owned(&mut table, 1, None);
    let child = owned(&mut table, 2, Some(parent));
    table.enter(child, KIND).expect("it is alive");
    assert_eq!(table.check_consumable(parent, KIND), Err(HandleError::Busy));
    table.leave(child);
    assert_eq!(table.check_consumable(parent, KIND), Ok(()));
}

#[test]
fn borrowed_handles_cannot_be_consumed() {
    let mut table = HandleTable::new(10);
    let handle = table.adopt(object(1), KIND, true, None, ptr::null()).expect("room");
    assert_eq!(table.check_consumable(handle, KIND), Err(HandleError::Borrowed));
}

#[test]
fn a_child_of_a_dead_lender_has_no_lender_not_even_itself() {
    let mut table = HandleTable::new(10);
    let lender = owned(&mut table, 1, None);
    table.consume(lender);
    let child = owned(&mut table, 2, Some(lender));
    assert_eq!(child & 0xfffff, lender & 0xfffff, "the slot is used again");
    table.enter(child, KIND).expect("it is alive");
    table.leave(child);
    assert_eq!(table.check_consumable(child, KIND), Ok(()));
}

#[test]
fn a_consumed_child_takes_its_mark_off_its_parent() {
    let mut table = HandleTable::new(10);
    let parent = owned(&mut table, 1, None);
    let child = owned(&mut table, 2, Some(parent));
    table.enter(child, KIND).expect("it is alive");
    table.consume_marked(child);
    table.leave(child);
    assert_eq!(table.check_consumable(parent, KIND), Ok(()));
}

#[test]
fn reserved_slots_are_not_given_to_others() {
    let mut table = HandleTable::new(2);
    table.reserve(1).expect("there is room");
    owned(&mut table, 1, None);
    assert!(table.reserve(1).is_err(), "one is alive, one is reserved");
    table.release(1);
    table.reserve(1).expect("there is room again");
}

#[test]
fn the_limit_holds_and_reservations_count() {
    let mut table = HandleTable::new(2);
    assert!(table.reserve(2).is_ok());
    table.release(2);
    owned(&mut table, 1, None);
    assert_eq!(table.reserve(2), Err(Full { wanted: 2, limit: 2 }));
    owned(&mut table, 2, None);
    assert!(table.adopt(object(3), KIND, false, None, ptr::null()).is_none());
}

#[test]
fn a_slot_is_retired_before_its_generation_wraps() {
    let mut table = HandleTable::new(1);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 * LAST_GENERATION {
        let handle = owned(&mut table, 1, None);
        assert!(seen.insert(handle), "{handle:#x} was used twice");
        table.consume(handle);
    }
}

#[test]
fn teardown_goes_from_the_youngest_to_the_oldest() {
    let mut table = HandleTable::new(10);
    let parent = owned(&mut table, 1, None);
    owned(&mut table, 2, Some(parent));
    owned(&mut table, 2, Some(parent));
    table.adopt(object(3), KIND, true, Some(parent), ptr::null());
    let order: Vec<_> = table.drain().objects.into_iter().map(|(object, _)| object).collect();
    assert_eq!(order, [object(2), object(2), object(1)].map(Argument::Pointer));
    assert_eq!(table.live(), 0);
}

#[test]
fn a_descriptor_of_0_is_no_free_slot() {
    let mut table = HandleTable::new(10);
    for value in [0, 1, u32::MAX] {
        let handle = table.adopt_descriptor(value, KIND, false, None, ptr::null()).expect("room");
        let pointer = table.get(handle, KIND).expect("it is alive").pointer;
        assert_eq!(descriptor_value(pointer), value);
    }
    // One pointer more is no descriptor, although it looks like one.
    assert_eq!(table.live(), 3);
}

#[test]
fn what_a_running_call_may_destroy_is_not_kept() {
    let mut table = HandleTable::new(10);
    let parent = owned(&mut table, 1, None);
    let child = owned(&mut table, 2, Some(parent));
    assert_eq!(table.check_capturable(child, KIND), Ok(()));
    table.doom(parent, true);
    assert_eq!(table.check_capturable(child, KIND), Err(HandleError::Doomed));
    table.doom(parent, false);
    assert_eq!(table.check_capturable(child, KIND), Ok(()));
}

#[test]
fn a_handle_that_dies_in_somebodys_hands_frees_the_table() {
    let mut table = HandleTable::new(10);
    let (one, other) = (owned(&mut table, 1, None), owned(&mut table, 2, None));
    table.enter(one, KIND).expect("it is alive");
    table.hold(one, KIND, true, std::iter::once(one)).expect("nobody else has it");
    assert_eq!(table.check_free(one), Err(HandleError::Busy));
    assert_eq!(table.check_free(other), Ok(()));
    table.consume_marked(one);
    table.give_up(one);
    assert_eq!(table.exclusive, 0);
    let again = owned(&mut table, 3, None);
    assert_eq!(table.check_free(again), Ok(()));
}

#[test]
fn only_what_a_callback_was_given_lends_what_goes_back() {
    let mut table = HandleTable::new(10);
    let loan = Loan { instance: 0, address: 64, size: 5, back: 4096 };
    let mine = owned(&mut table, 1, None);
    assert!(table.lend(mine, KIND, loan).is_err());
    // An object that has an owner is not the callback's, even if the callback gets it.
    assert_eq!(table.show(object(1), KIND), Some((mine, false)));
    assert!(table.lend(mine, KIND, loan).is_err());
    let (shown, is_new) = table.show(object(2), KIND).expect("room");
    assert!(is_new);
    table.lend(shown, KIND, loan).expect("it ends with the callback");
    assert_eq!(table.lent_back(shown, 4096), Some(loan));
    assert_eq!(table.lent_back(shown, 4097), None);
    assert_eq!(table.hide(shown), vec![loan]);
    assert_eq!(table.lent_back(shown, 4096), None);
    // The slot is used again, by something that is not a callback's.
    let next = owned(&mut table, 3, None);
    assert!(table.lend(next, KIND, loan).is_err());
    assert_eq!(table.lent(), 0);
}

#[test]
fn what_lends_a_handle_is_held_with_it_if_its_type_says_so() {
    let (alone, other) = (HandleType(8).alone(), HandleType(9));
    let mut table = HandleTable::new(10);
    let make = |table: &mut HandleTable, n, kind, parent| {
        table.adopt(object(n), kind, false, parent, ptr::dangling()).expect("there is room")
    };
    let root = make(&mut table, 1, other, None);
    let db = make(&mut table, 2, alone, Some(root));
    let [one, two] = [3, 4].map(|n| make(&mut table, n, other, Some(db)));
    // Two arguments of one call share what lends them, and one may be that itself.
    let call = [one, two, db];
    let kinds = [other, other, alone];
    for (handle, kind) in call.into_iter().zip(kinds) {
        table.enter(handle, kind).expect("it is alive");
    }
    for (handle, kind) in call.into_iter().zip(kinds) {
        table.hold(handle, kind, false, call.into_iter()).expect("only this call has it");
    }
    assert_eq!(table.exclusive, 1, "only the one whose type says so");
    assert_eq!(table.check_free(one), Err(HandleError::Busy));
    assert_eq!(table.check_free(root), Ok(()));
    // What dies in somebody's hands gives up what lent it.
    table.consume_marked(one);
    assert_eq!((table.exclusive, table.check_free(two)), (0, Ok(())));
    call.into_iter().for_each(|handle| table.give_up(handle));
    [two, db].into_iter().for_each(|handle| table.leave(handle));
    // Another call's use of what lends it is in the way, of what nothing is said about not.
    table.enter(db, alone).expect("it is alive");
    table.enter(two, other).expect("it is alive");
    assert_eq!(table.hold(two, other, false, [two].into_iter()), Err(HandleError::Busy));
    assert_eq!((table.exclusive, table.busy(db), table.busy(two)), (0, 2, 1));
    table.leave(db);
    assert_eq!(table.hold(two, other, false, [two].into_iter()), Ok(()));
    table.give_up(two);
    table.leave(two);
    assert_eq!((table.exclusive, table.busy(db), table.busy(root)), (0, 0, 0));
}

#[test]
fn memory_of_ended_copies_is_lent_again() {
    let mut table = HandleTable::new(10);
    let (lender, other) = (owned(&mut table, 1, None), owned(&mut table, 2, None));
    let loan = |address, size| Loan { instance: 3, address, size, back: 0 };
    for (address, size) in [(64, 5), (128, 50)] {
        table.lend(lender, KIND, loan(address, size)).expect("it is alive");
    }
    let anywhere = |_| true;
    assert_eq!(table.lend_again(lender, 3, 5, anywhere), None, "both are in use");
    assert!(table.end_quietly(lender));
    assert_eq!(table.lent(), 0);
    // Not that of another handle or instance, not where it is too small, and not where it is unfit.
    assert_eq!(table.lend_again(other, 3, 5, anywhere), None);
    assert_eq!(table.lend_again(lender, 4, 5, anywhere), None);
    assert_eq!(table.lend_again(lender, 3, 51, anywhere), None);
    assert_eq!(table.lend_again(lender, 3, 5, |address| address > 128), None);
    assert_eq!(table.lend_again(lender, 3, 6, anywhere), Some(loan(128, 50)));
    assert_eq!(table.lend_again(lender, 3, 6, anywhere), None, "once");
    assert_eq!(table.lent(), 1);
    // What is lent and what is kept goes back when the handle dies.
    assert_eq!(table.consume(lender), vec![loan(128, 50), loan(64, 5)]);
    assert_eq!(table.lent(), 0);
    assert_eq!(table.lend_again(lender, 3, 5, anywhere), None);
}

#[test]
fn a_handle_keeps_a_few_copies_and_small_ones() {
    let mut table = HandleTable::new(10);
    let lender = owned(&mut table, 1, None);
    let lend = |table: &mut HandleTable, address, size| {
        let loan = Loan { instance: 0, address, size, back: 0 };
        table.lend(lender, KIND, loan).expect("it is alive");
    };
    (1..=9).for_each(|number| lend(&mut table, 64 * number, 8));
    assert!(!table.end_quietly(lender), "one has to be freed");
    assert_eq!(table.lent(), 9);
    let ended = table.end_loans(lender);
    assert_eq!(ended.iter().map(|loan| loan.address).collect::<Vec<_>>(), [64 * 9]);
    assert_eq!((table.lent(), table.end_loans(lender)), (0, vec![]));
    assert!(table.end_quietly(0), "NULL lends nothing");
}

#[test]
fn a_handle_is_entered_alone_as_it_is_in_steps() {
    let alone = KIND.alone();
    let mut table = HandleTable::new(10);
    let adopt = |table: &mut HandleTable, number, parent| {
        table.adopt(object(number), alone, false, parent, ptr::null()).expect("room")
    };
    let db = adopt(&mut table, 1, None);
    let [one, two] = [2, 3].map(|number| adopt(&mut table, number, Some(db)));
    let state = |table: &HandleTable| {
        [db, one, two].map(|handle| {
            let entry = table.get(handle, alone).expect("it is alive");
            (entry.busy, entry.flags)
        })
    };
    let before = state(&table);
    table.enter(one, alone).expect("it is alive");
    table.hold(one, alone, false, std::iter::once(one)).expect("it is free");
    let held = state(&table);
    // Nobody else gets in, neither way.
    assert_eq!(table.enter_alone(two, alone, true, true), None);
    assert_eq!(table.enter_alone(two, alone, false, false), None);
    assert_eq!((state(&table), table.usable(two, alone)), (held, None));
    table.leave_alone(one);
    assert_eq!(state(&table), before);
    assert_eq!(table.enter_alone(one, alone, true, true), Some(object(2)));
    assert_eq!((state(&table), table.usable(two, alone)), (held, None));
    table.leave(one);
    table.give_up(one);
    assert_eq!((state(&table), table.usable(two, alone)), (before, Some(object(3))));
    // A use that is not exclusive keeps an exclusive one out, and one that ends loans.
    assert_eq!(table.enter_alone(one, alone, false, false), Some(object(2)));
    assert_eq!(table.enter_alone(two, alone, false, true), None);
    assert_eq!(table.enter_alone(one, alone, true, false), None);
    table.leave_alone(one);
    assert_eq!(state(&table), before);
    // What lends others has to be looked at before its loans end.
    assert_eq!(table.enter_alone(db, alone, true, true), None);
    assert_eq!(table.enter_alone(one, KIND, false, false), None, "another type");
}

/// An object that is gone calls nobody any more; one that a callback was shown lives on, and may.
#[test]
fn what_is_destroyed_keeps_no_closure_and_what_was_shown_keeps_its_own() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let mut table = HandleTable::new(10);
    let parent = owned(&mut table, 1, None);
    let child = owned(&mut table, 2, Some(parent));
    let (shown, _) = table.show(object(3), KIND).expect("there is room");
    let captured = owned(&mut table, 4, None);
    let uses: [Arc<AtomicU32>; 4] = Default::default();
    for (handle, uses) in [parent, child, shown, parent].into_iter().zip(&uses) {
        table.keep_closure(handle, uses);
    }
    let block = Block::copy_of(b"kept");
    let address = block.address();
    assert!(table.keep(shown, block).is_ok());
    table.capture(shown, captured);
    table.consume(parent);
    table.hide(shown);
    assert_eq!(uses.each_ref().map(|uses| uses.load(Ordering::Relaxed)), [0, 0, 1, 0]);
    // The next handle in that place keeps nothing of it.
    let next = owned(&mut table, 5, None);
    table.consume(next);
    assert_eq!(uses.map(|uses| uses.load(Ordering::Relaxed)), [0, 0, 1, 0]);
    // What the shown object was given stays.
    let bytes = ptr::with_exposed_provenance::<[u8; 4]>(usize::try_from(address).expect("64 bits"));
    #[expect(unsafe_code, reason = "reads what native code would")]
    // SAFETY: nobody frees the block, which is what is tested.
    let bytes = unsafe { *bytes };
    assert_eq!((&bytes, table.captured_bytes()), (b"kept", 4));
    assert!(table.drain().objects.iter().all(|(one, _)| *one != Argument::Pointer(object(4))));
}
