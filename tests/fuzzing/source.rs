//! Bytes to choices.

/// Bytes that are read once, from first to last. When there are no more, all choices are the first.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    left: &'a [u8],
}

impl<'a> Source<'a> {
    /// A source of these bytes.
    pub fn new(bytes: &'a [u8]) -> Source<'a> {
        Source { left: bytes }
    }

    /// Whether all bytes have been read.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// How many there are still.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        *first
    }

    /// Eight bytes.
    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// An integer, most often one where something begins or ends.
    pub fn integer(&mut self) -> u64 {
        let near = |edge: u64, by: u8| edge.wrapping_add(u64::from(by % 5)).wrapping_sub(2);
        match self.byte() {
            kind @ 0..=127 => u64::from(kind % 32),
            128..=159 => near(1 << 7, self.byte()),
            160..=175 => near(1 << 16, self.byte()),
            176..=191 => near(1 << 31, self.byte()),
            192..=207 => near(1 << 32, self.byte()),
            208..=215 => near(1 << 63, self.byte()),
            216..=223 => near(0, self.byte()),
            _ => self.word(),
        }
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = if bound <= 256 {
            usize::from(self.byte())
        } else {
            usize::from(self.byte()) << 16
                | usize::from(self.byte()) << 8
                | usize::from(self.byte())
        };
        number % bound
    }

    /// True in `of` of 256 cases; false when there is nothing left.
    pub fn chance(&mut self, of: u8) -> bool {
        self.byte() > 255 - of
    }

    /// One of `items`, of which there is at least one.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }
}
