//! Assignments as text: for `explain` and for golden files.
use super::{Abi, Assignment, Location, Piece, Role, Value};
use crate::signature::Function;
use std::fmt::Write as _;

/// An assignment, a line a parameter and one for the result.
///
/// ```text
/// System V x86-64: 2 integer registers, 1 vector register, 0 bytes of stack
///   buf       8 bytes in rdi
///   length    8 bytes in rsi
///   scale     8 bytes in xmm0
///   result    4 bytes in rax
/// ```
#[must_use]
pub fn describe(assignment: &Assignment, function: &Function, abi: Abi) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for (index, value) in assignment.params.iter().enumerate() {
        let name = function.params.get(index).and_then(|param| param.name.as_ref());
        let name = name.map_or_else(|| format!("({})", index + 1), ToString::to_string);
        lines.push((name, places(value, abi, Role::Parameter)));
    }
    lines.push(("result".to_owned(), places(&assignment.result, abi, Role::Result)));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = format!(
        "{}: {}, {}, {} of stack\n",
        abi.name(),
        count(assignment.integer_registers.into(), "integer register"),
        count(assignment.vector_registers.into(), "vector register"),
        count(assignment.stack_size, "byte"),
    );
    for (name, places) in lines {
        let _ = writeln!(text, "  {name:width$}    {places}");
    }
    text
}

fn places(value: &Value, abi: Abi, role: Role) -> String {
    if let Some(location) = value.indirect {
        return format!("in memory, address in {}", place(location, abi, Role::Parameter));
    }
    if value.pieces.is_empty() {
        return "nothing".to_owned();
    }
    let pieces: Vec<String> =
        value.pieces.iter().map(|piece| describe_piece(piece, value, abi, role)).collect();
    pieces.join(", ")
}

fn describe_piece(piece: &Piece, value: &Value, abi: Abi, role: Role) -> String {
    let place = place(piece.location, abi, role);
    if value.pieces.len() == 1 && piece.offset == 0 {
        format!("{} in {place}", count(piece.size, "byte"))
    } else {
        format!("bytes {}..{} in {place}", piece.offset, piece.offset + piece.size)
    }
}

fn place(location: Location, abi: Abi, role: Role) -> String {
    match (location, abi.register_name(location, role)) {
        (_, Some(name)) => name.to_owned(),
        (Location::Stack(offset), None) => format!("stack+{offset}"),
        (Location::Integer(n) | Location::Vector(n) | Location::X87(n), None) => {
            format!("register {n}")
        }
    }
}

fn count(n: u32, what: &str) -> String {
    if n == 1 { format!("{n} {what}") } else { format!("{n} {what}s") }
}
