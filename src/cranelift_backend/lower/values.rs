//! Ranges, conditions, and what is computed.
use super::Lower;
use super::expression::Exact;
use super::places::Word;
use crate::cranelift_backend::Unsupported;
use crate::plan::op::{At, Operand, Width};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Lower<'_> {
    pub(super) fn range(&mut self, value: Operand, set: u16) -> Result<(), Unsupported> {
        let number = self.integer(value)?;
        let plan = self.plan;
        let ranges = plan.ranges.get(usize::from(set)).map_or(&[][..], |ranges| ranges);
        let mut inside: Option<Value> = None;
        for range in ranges {
            let here = match self.lies_within(number, *range) {
                Known::Always => return Ok(()),
                Known::Never => continue,
                Known::If(here) => here,
            };
            inside = Some(match inside {
                Some(other) => self.b.ins().bor(other, here),
                None => here,
            });
        }
        let inside = match inside {
            Some(inside) => inside,
            None => self.b.ins().iconst(types::I8, 0),
        };
        self.check(inside);
        Ok(())
    }

    /// Whether a number is one of an interval.
    fn lies_within(&mut self, number: Exact, (low, high): (i128, i128)) -> Known {
        let (least, greatest) = number.bounds();
        if low <= least && greatest <= high {
            return Known::Always;
        }
        let (low, high) = (low.max(least), high.min(greatest));
        if low > high {
            return Known::Never;
        }
        // One comparison: below the interval the difference wraps around and is large.
        let Ok(width) = u64::try_from(high - low) else { return Known::Always };
        let start = self.constant(low as u64);
        let above = self.b.ins().isub(number.value, start);
        Known::If(self.compare_to(IntCC::UnsignedLessThanOrEqual, above, width))
    }

    /// Before the call: a number is one of a width's.
    pub(super) fn check_width(&mut self, number: Exact, width: Width) {
        match self.fits_width(number, width) {
            Known::Always => {}
            Known::Never => {
                let never = self.b.ins().iconst(types::I8, 0);
                self.check(never);
            }
            Known::If(fits) => self.check(fits),
        }
    }

    /// Whether a number is one of a width's.
    pub(super) fn fits_width(&mut self, number: Exact, width: Width) -> Known {
        self.lies_within(number, width.bounds())
    }

    pub(super) fn evaluate(&mut self, expr: u16, to: At) -> Result<(), Unsupported> {
        let number = self.expression(expr)?;
        self.place_exact(to, number);
        Ok(())
    }

    pub(super) fn require(&mut self, expr: u16) -> Result<(), Unsupported> {
        let number = self.expression(expr)?;
        self.check(number.value);
        Ok(())
    }

    pub(super) fn value(&mut self, expr: u16, to: At, width: Width) -> Result<(), Unsupported> {
        let number = self.expression(expr)?;
        self.check_width(number, width);
        self.place(to, Word::integer(number.value));
        Ok(())
    }

    fn expression(&mut self, expr: u16) -> Result<Exact, Unsupported> {
        let plan = self.plan;
        match plan.expressions.get(usize::from(expr)) {
            Some(expression) => self.compute(expression),
            None => Err(Unsupported::Codegen("there is no such expression".to_owned())),
        }
    }
}

/// What is known of a condition when the code is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    Always,
    Never,
    If(Value),
}
