//! Layouts as text: for `explain` and for golden files.
use super::calculate::name_of;
use super::{DataModel, Extent, LayoutError, Place, Target, extent_of, record_on};
use crate::plan::abi::Abi;
use crate::signature::{Field, Record, RecordKind, Scope, Span, Type, TypeKind};
use std::fmt::Write as _;
use std::sync::Arc;

/// The layout of a type as a table: a column for a guest with a 32-bit memory, one for a guest with
/// a 64-bit memory, one for the host. Of a record a line a field: the bytes that it has, or the first
/// byte of a bit-field and its bits counted from there.
///
/// # Errors
/// When the type has no layout.
pub fn describe(ty: &Type, scope: &Scope, abi: Abi) -> Result<String, LayoutError> {
    let mut table = Table { scope, rows: Vec::new() };
    let targets =
        [Target::Guest(DataModel::Ilp32), Target::Guest(DataModel::Lp64), Target::Host(abi)];
    let mut whole = Vec::new();
    for target in targets {
        whole.push(extent(extent_of(ty, scope, target)?));
    }
    let heading = match &ty.kind {
        TypeKind::Record(record) => name_of(record),
        _ => "whole".to_owned(),
    };
    table.rows.push(Row {
        label: String::new(),
        cells: vec!["wasm32".to_owned(), "wasm64".to_owned(), abi.name().to_owned()],
    });
    table.rows.push(Row { label: heading, cells: whole });
    if let TypeKind::Record(record) = &ty.kind {
        table.fields(record, ty.span, &targets, &[0; 3], 1)?;
    }
    Ok(table.print())
}

struct Row {
    label: String,
    cells: Vec<String>,
}

struct Table<'a> {
    scope: &'a Scope,
    rows: Vec<Row>,
}

impl Table<'_> {
    /// A row a field; the fields of records without a tag below it, at their offsets in the whole.
    fn fields(
        &mut self,
        record: &Record,
        span: Span,
        targets: &[Target],
        base: &[u64],
        depth: usize,
    ) -> Result<(), LayoutError> {
        let mut columns = Vec::new();
        for target in targets {
            columns.push(record_on(record, span, self.scope, *target)?.1);
        }
        let body = record.body.as_ref().or_else(|| {
            let tag = record.tag.as_ref()?;
            self.scope.records.get(&(record.kind, Arc::clone(&tag.name)))
        });
        for (index, field) in body.into_iter().flat_map(|body| &body.fields).enumerate() {
            let places: Vec<Place> = columns
                .iter()
                .zip(base)
                .filter_map(|(places, base)| {
                    places.get(index).map(|p| Place { offset: base + p.offset, ..*p })
                })
                .collect();
            self.rows.push(Row {
                label: format!("{:indent$}{}", "", label(field), indent = 2 * depth),
                cells: places.iter().map(place).collect(),
            });
            if let TypeKind::Record(inner @ Record { tag: None, .. }) = &field.ty.kind {
                let base: Vec<u64> = places.iter().map(|p| p.offset).collect();
                self.fields(inner, field.ty.span, targets, &base, depth + 1)?;
            }
        }
        Ok(())
    }

    fn print(&self) -> String {
        let mut widths = [0_usize; 4];
        for row in &self.rows {
            let cells = std::iter::once(&row.label).chain(&row.cells);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.len());
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (width, cell) in widths.iter().zip(std::iter::once(&row.label).chain(&row.cells)) {
                let _ = write!(line, "{cell:width$}   ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn label(field: &Field) -> String {
    match (&field.name, &field.ty.kind) {
        (Some(name), _) => name.to_string(),
        (None, TypeKind::Record(Record { kind: RecordKind::Struct, .. })) => "struct".to_owned(),
        (None, TypeKind::Record(Record { kind: RecordKind::Union, .. })) => "union".to_owned(),
        (None, _) => "(unnamed)".to_owned(),
    }
}

fn extent(extent: Extent) -> String {
    format!("size {}, align {}", extent.size, extent.align)
}

fn place(place: &Place) -> String {
    match place.bits {
        None => format!("{}..{}", place.offset, place.offset + place.size),
        Some(bits) => {
            format!("{} bits {}..{}", place.offset, bits.shift, bits.shift + bits.width)
        }
    }
}
