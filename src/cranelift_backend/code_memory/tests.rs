use super::*;
use std::mem::transmute;

/// `mov eax, number; ret`
fn number(number: u32) -> Code {
    let mut bytes = vec![0xb8];
    bytes.extend(number.to_le_bytes());
    bytes.push(0xc3);
    Code::new(&bytes, 32).expect("the system gives memory")
}

fn call(code: &Code) -> u32 {
    // SAFETY: it is a function without parameters that returns a number.
    unsafe { transmute::<*const u8, extern "C" fn() -> u32>(code.start())() }
}

/// The protections of all mappings that touch an address range.
fn protections(start: usize, size: usize) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let lines = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (low, high) = range.split_once('-')?;
        let low = usize::from_str_radix(low, 16).ok()?;
        let high = usize::from_str_radix(high, 16).ok()?;
        (low < start + size && start < high).then(|| rest[..4].to_owned())
    });
    lines.collect()
}

#[test]
fn no_page_is_writable_and_executable_and_none_of_code_is_ever_writable() {
    let kept: Vec<Code> = (0..200).map(number).collect();
    for code in &kept {
        assert_eq!(protections(code.start().addr(), code.size()), ["r-xs"]);
    }
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    assert!(!maps.contains("rwx"), "{maps}");
    assert!((0..200).zip(&kept).all(|(wanted, code)| call(code) == wanted));
}

#[test]
fn small_functions_share_pages_and_what_is_freed_is_used_again() {
    // An arena may end between two, so try some pairs.
    let near = |(one, two): &(Code, Code)| one.start().addr().abs_diff(two.start().addr()) < ARENA;
    let (one, two) = (0..10).map(|_| (number(1), number(2))).find(near).expect("one serves both");
    // More than any arena holds, one after the other: without reuse this would take 4 MiB.
    let start = one.start().addr();
    let mut far = 0;
    for round in 0..(4 << 20) / 32 {
        let code = number(round);
        if round.is_multiple_of(1000) {
            assert_eq!(call(&code), round);
        }
        far = far.max(code.start().addr().abs_diff(start));
    }
    assert!(far < 64 * ARENA, "{far} bytes apart");
    assert_eq!((call(&one), call(&two)), (1, 2));
}

#[test]
fn memory_of_code_that_is_gone_is_given_back() {
    // Larger than what others leave free, so that it gets an arena of its own.
    let mut bytes = vec![FILLER; 3 * ARENA];
    bytes[0] = 0xc3;
    let code = Code::new(&bytes, 32).expect("the system gives memory");
    let start = code.start().addr();
    assert_eq!(protections(start, 4096), ["r-xs"]);
    let kept = number(7);
    drop(code);
    assert_eq!(call(&kept), 7);
    assert!(protections(start, 4096).is_empty() || kept.start().addr().abs_diff(start) < 4 * ARENA);
}

#[test]
fn threads_write_and_free_while_others_run() {
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            scope.spawn(move || {
                let mut kept = Vec::new();
                for round in 0..2000 {
                    let wanted = thread << 16 | round;
                    kept.push((wanted, number(wanted)));
                    if kept.len() > 20 {
                        kept.swap_remove(usize::try_from(round).expect("small") % 20);
                    }
                    assert!(kept.iter().all(|(wanted, code)| call(code) == *wanted));
                }
            });
        }
    });
}

#[test]
fn free_parts_are_found_and_joined() {
    let mut free = Free::all(1024);
    let (a, b, c) = (free.take(100, 16), free.take(32, 32), free.take(64, 64));
    assert_eq!((a, b, c), (Some(0), Some(128), Some(192)));
    free.give_back(128, 32);
    assert_eq!(free.take(16, 16), Some(112), "the gap in front of what was aligned");
    free.give_back(0, 100);
    free.give_back(112, 16);
    free.give_back(192, 64);
    assert!(free.is_all(1024), "{free:?}");
    assert_eq!(free.take(2048, 16), None);
}

#[test]
fn nothing_is_written_where_a_forked_process_may_run() {
    let mut pool = Pool(Vec::new());
    let (before, offset) = pool.take(Near::Libraries, 64, 32).expect("the system gives memory");
    has_forked();
    let (after, _) = pool.take(Near::Libraries, 64, 32).expect("the system gives memory");
    assert!(!Arc::ptr_eq(&before, &after) && before.is_shared() && !after.is_shared());
    pool.give_back(&before, offset, 64);
    assert_eq!(pool.0.len(), 1, "what is empty and no longer written goes");
}
