//! What holds for every assignment, of both ABIs, on any machine.

use crate::c_types::{self, Generator, Menu, types};
use portcullis::plan::abi::{Abi, AbiError, Assignment, Location, Role, assign};
use portcullis::plan::layout::Target;
use portcullis::signature::{Function, Scope, TypeKind, Variadic};
use std::collections::HashSet;

const MENU: Menu = Menu {
    bit_fields: true,
    unnamed_bit_fields: true,
    attributes: true,
    atomics: false,
    wide: true,
    fields: 5,
    hollow: true,
    pointers: true,
};
const SIGNATURES: usize = 20_000;

/// Every byte that means something is in exactly one piece, and pieces stay inside their value.
fn pieces_cover_each_value_once(function: &Function, assignment: &Assignment, abi: Abi) {
    let target = Target::Host(abi);
    let void = function.result.kind == TypeKind::Void;
    let result = [(&function.result, &assignment.result)];
    let result = result.into_iter().filter(|_| !void);
    for (of, value) in types(function).into_iter().zip(&assignment.params).chain(result) {
        let size = c_types::size(of, target);
        assert_eq!(value.extent.size, u64::try_from(size).expect("small"));
        if value.indirect.is_some() {
            assert_eq!(value.pieces, []);
            continue;
        }
        let mut covered = vec![0_u8; size];
        for piece in &value.pieces {
            assert!(piece.size > 0);
            let start = usize::try_from(piece.offset).expect("small");
            let end = start + usize::try_from(piece.size).expect("small");
            covered[start..end].iter_mut().for_each(|count| *count += 1);
        }
        let mut meaning = vec![0; size];
        c_types::meaning(of, target, 0, &mut meaning);
        for (count, bits) in covered.iter().zip(&meaning) {
            assert!(*count == 1 || (*count == 0 && *bits == 0), "{of:?}: {value:?}");
        }
    }
}

/// No register holds two pieces, no stack slots overlap, and the totals are right.
fn locations_are_disjoint(assignment: &Assignment, abi: Abi) {
    let mut registers = HashSet::new();
    let mut slots = HashSet::new();
    let (mut integers, mut vectors) = (0, 0);
    let addresses = assignment.params.iter().filter_map(|value| value.indirect.map(|at| (at, 8)));
    let pieces = assignment.params.iter().flat_map(|value| &value.pieces);
    let hidden = assignment.result.indirect.map(|at| (at, 8));
    let all = pieces.map(|piece| (piece.location, piece.size)).chain(addresses).chain(hidden);
    for (location, size) in all {
        match location {
            Location::Stack(offset) => {
                assert_eq!(offset % 8, 0);
                assert!(offset + size <= assignment.stack_size, "{assignment:?}");
                for slot in offset / 8..(offset + size).div_ceil(8) {
                    assert!(slots.insert(slot), "{assignment:?}");
                }
            }
            Location::Integer(_) | Location::Vector(_) => {
                assert!(registers.insert(location), "{assignment:?}");
                assert!(abi.register_name(location, Role::Parameter).is_some());
            }
            Location::X87(_) => panic!("parameters never travel in x87 registers"),
        }
        match location {
            Location::Integer(number) if abi != Abi::Aapcs64 || number < 8 => {
                integers = integers.max(number + 1);
            }
            Location::Vector(number) => vectors = vectors.max(number + 1),
            _ => {}
        }
    }
    assert!(assignment.stack_align >= 16 && assignment.stack_align.is_power_of_two());
    assert_eq!(assignment.stack_size % assignment.stack_align, 0);
    // On 64-bit Arm registers may be skipped.
    assert!(integers <= assignment.integer_registers, "{assignment:?}");
    assert!(vectors <= assignment.vector_registers, "{assignment:?}");
    if abi == Abi::SysvX86_64 {
        assert_eq!(integers, assignment.integer_registers);
        assert_eq!(vectors, assignment.vector_registers);
    }
    let (most_integers, most_vectors) = abi.register_count();
    assert!(assignment.integer_registers <= most_integers);
    assert!(assignment.vector_registers <= most_vectors);
    for piece in &assignment.result.pieces {
        assert!(abi.register_name(piece.location, Role::Result).is_some(), "{piece:?}");
    }
}

/// What comes later never moves what came before.
fn a_shorter_list_is_a_prefix(function: &Function, assignment: &Assignment, abi: Abi) {
    let mut shorter = function.clone();
    let dropped = match &mut shorter.variadic {
        Variadic::Typed(tail) if !tail.is_empty() => tail.pop().is_some(),
        _ => shorter.params.pop().is_some(),
    };
    if dropped {
        let shorter = assign(&shorter, &Scope::default(), abi).expect("the longer one assigns");
        let known = assignment.params.len() - 1;
        assert_eq!(shorter.params[..], assignment.params[..known]);
        assert_eq!(shorter.result, assignment.result);
    }
}

#[test]
fn assignments_are_consistent() {
    let mut generator = Generator::new(c_types::seed(), MENU);
    for _ in 0..300 {
        generator.record();
    }
    for abi in Abi::ALL {
        let (mut assigned, mut refused, mut pieces) = (0, 0, 0);
        for _ in 0..SIGNATURES {
            let function = c_types::signature(&mut generator);
            match assign(&function, &Scope::default(), abi) {
                Ok(assignment) => {
                    pieces_cover_each_value_once(&function, &assignment, abi);
                    locations_are_disjoint(&assignment, abi);
                    a_shorter_list_is_a_prefix(&function, &assignment, abi);
                    assigned += 1;
                    pieces += assignment.params.iter().map(|v| v.pieces.len()).sum::<usize>();
                }
                Err(AbiError::Disputed { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        println!("{}: {assigned} assigned, {refused} refused, {pieces} pieces", abi.name());
        assert!(assigned > SIGNATURES / 3, "{assigned}");
    }
}
