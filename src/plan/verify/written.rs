//! What ops have written into the frame so far.
use super::error::Fault;
use crate::plan::frame::FrameLayout;
use crate::plan::op::{At, Operand, Width};

/// What some bytes of the frame hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An integer that expressions may read.
    Integer(Width),
    /// A floating value.
    Float,
    /// The native address of guest memory, of a copy or of a cell. Nothing may read it.
    Address,
    /// The native pointer of a handle. It may be passed to a pure function, nothing else.
    Object,
    /// A value, or a part of one, that nothing may read.
    Value,
    /// The length of a range in bytes.
    Length,
    /// The host's name of a closure.
    Closure,
    /// A pointer that native code has left.
    Native,
    /// What the guest gets instead of a native pointer.
    ForGuest,
    /// As `ForGuest`, or all ones: a copy is still to be made.
    Pending,
}

/// Bytes that an op has written.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    at: At,
    bytes: usize,
    what: What,
    by: usize,
}

/// Everything that has been written, in order.
#[derive(Debug)]
pub(super) struct Written {
    layout: FrameLayout,
    all: Vec<Bytes>,
}

impl Written {
    pub(super) fn new(layout: FrameLayout) -> Written {
        Written { layout, all: Vec::new() }
    }

    /// Notes that op `by` writes there. Nothing is written twice.
    pub(super) fn add(&mut self, at: At, bytes: usize, what: What, by: usize) -> Result<(), Fault> {
        let overlaps = |other: &&Bytes| {
            at.offset() < other.at.offset() + other.bytes && other.at.offset() < at.offset() + bytes
        };
        if let Some(other) = self.all.iter().find(overlaps) {
            return Err(Fault::Twice { at, by: other.by });
        }
        self.all.push(Bytes { at, bytes, what, by });
        Ok(())
    }

    /// As [`Written::add`], for a place among cells and locals.
    pub(super) fn add_local(
        &mut self,
        at: At,
        bytes: usize,
        what: What,
        by: usize,
    ) -> Result<(), Fault> {
        let start = at.offset();
        let inside = start >= usize::from(self.layout.locals)
            && start + bytes <= usize::from(self.layout.size)
            && start.is_multiple_of(bytes);
        if !inside {
            return Err(Fault::Area { at, bytes, area: "cells and locals" });
        }
        self.add(at, bytes, what, by)
    }

    /// As [`Written::add_local`], for a value of any size, 16-aligned.
    pub(super) fn add_area(
        &mut self,
        at: At,
        bytes: usize,
        what: What,
        by: usize,
    ) -> Result<(), Fault> {
        let start = at.offset();
        let inside = start >= usize::from(self.layout.locals)
            && start.saturating_add(bytes) <= usize::from(self.layout.size)
            && start.is_multiple_of(16);
        if !inside {
            return Err(Fault::Area { at, bytes, area: "cells and locals" });
        }
        self.add(at, bytes, what, by)
    }

    /// What was written there, at exactly that position.
    pub(super) fn at(&self, at: At) -> Option<What> {
        self.all.iter().find(|bytes| bytes.at == at).map(|bytes| bytes.what)
    }

    /// Makes what is pending there final.
    pub(super) fn settle(&mut self, at: At) -> Result<(), Fault> {
        let pending = |bytes: &&mut Bytes| bytes.at == at && bytes.what == What::Pending;
        match self.all.iter_mut().find(pending) {
            Some(bytes) => {
                bytes.what = What::ForGuest;
                Ok(())
            }
            None => Err(Fault::Unknown { what: "pointer that is still to be copied", at }),
        }
    }

    /// Something else stands there now.
    pub(super) fn becomes(&mut self, at: At, what: What) -> Result<(), Fault> {
        match self.all.iter_mut().find(|bytes| bytes.at == at) {
            Some(bytes) => {
                bytes.what = what;
                Ok(())
            }
            None => Err(Fault::Unknown { what: "address", at }),
        }
    }

    /// An integer is read. With `objects` the pointer of a handle may be, too.
    pub(super) fn read(&self, operand: Operand, objects: bool) -> Result<(), Fault> {
        let Operand { at, width } = operand;
        let written = match self.at(at) {
            Some(What::Integer(written)) => written,
            Some(What::Object) if objects => Width::U64,
            _ => return Err(Fault::Unknown { what: "integer", at }),
        };
        if written == width { Ok(()) } else { Err(Fault::Width { at, written, read: width }) }
    }

    /// Past the last byte that was written.
    pub(super) fn end(&self) -> usize {
        let start = usize::from(self.layout.locals);
        let locals = self.all.iter().map(|bytes| bytes.at.offset() + bytes.bytes);
        locals.fold(start, usize::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: usize) -> At {
        At::new(offset).expect("inside")
    }

    #[test]
    fn nothing_overlaps_and_locals_stay_in_their_area() {
        let layout = FrameLayout { stack: 16, stack_align: 16, locals: 304, size: 352, align: 16 };
        let mut written = Written::new(layout);
        assert_eq!(written.add_local(at(304), 16, What::Length, 0), Ok(()));
        let twice = |at, by| Err(Fault::Twice { at, by });
        assert_eq!(written.add_local(at(304), 8, What::Length, 1), twice(at(304), 0));
        assert_eq!(written.add_local(at(312), 8, What::Length, 1), twice(at(312), 0));
        let area = |at, bytes| Err(Fault::Area { at, bytes, area: "cells and locals" });
        assert_eq!(written.add_local(at(328), 16, What::Length, 1), area(at(328), 16));
        assert_eq!(written.add_local(at(296), 8, What::Length, 1), area(at(296), 8));
        assert_eq!(written.add_local(at(352), 8, What::Length, 1), area(at(352), 8));
        assert_eq!(written.add_local(at(344), 8, What::Length, 1), Ok(()));
        assert_eq!(written.end(), 352);
    }

    #[test]
    fn integers_are_read_as_they_were_written() {
        let mut written = Written::new(FrameLayout {
            stack: 0,
            stack_align: 16,
            locals: 288,
            size: 320,
            align: 16,
        });
        written.add(at(16), 8, What::Integer(Width::I16), 0).expect("first");
        written.add(at(24), 8, What::Object, 1).expect("first");
        let read = |at, width, objects| written.read(Operand { at, width }, objects);
        assert_eq!(read(at(16), Width::I16, false), Ok(()));
        assert!(matches!(read(at(16), Width::U16, false), Err(Fault::Width { .. })));
        assert!(matches!(read(at(24), Width::U64, false), Err(Fault::Unknown { .. })));
        assert_eq!(read(at(24), Width::U64, true), Ok(()));
        assert!(matches!(read(at(17), Width::I16, false), Err(Fault::Unknown { .. })));
    }
}
