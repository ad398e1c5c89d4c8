//! Sequence numbers and their arithmetic modulo 2^32 (RFC 9293 section 3.4).

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A sequence or acknowledgment number. Comparisons are modulo 2^32: `a.lt(b)` holds when `b` lies less than 2^31 ahead of `a`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Seq(pub u32);

impl Seq {
    /// `self < other` modulo 2^32.
    #[must_use]
    pub fn lt(self, other: Seq) -> bool {
        self.offset_from(other) < 0
    }

    /// `self <= other` modulo 2^32.
    #[must_use]
    pub fn le(self, other: Seq) -> bool {
        self.offset_from(other) <= 0
    }

    /// `self > other` modulo 2^32.
    #[must_use]
    pub fn gt(self, other: Seq) -> bool {
        self.offset_from(other) > 0
    }

    /// `self >= other` modulo 2^32.
    #[must_use]
    pub fn ge(self, other: Seq) -> bool {
        self.offset_from(other) >= 0
    }

    /// The later of the two.
    #[must_use]
    pub fn max(self, other: Seq) -> Seq {
        if self.ge(other) { self } else { other }
    }

    /// The earlier of the two.
    #[must_use]
    pub fn min(self, other: Seq) -> Seq {
        if self.le(other) { self } else { other }
    }

    /// Octets from `other` forward to `self`; negative when `self` lies before `other`.
    #[must_use]
    pub fn offset_from(self, other: Seq) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// Octets from `other` forward to `self`, as an unsigned distance on the circle.
    #[must_use]
    pub fn since(self, other: Seq) -> u32 {
        self.0.wrapping_sub(other.0)
    }

    /// This number moved by a signed amount.
    #[must_use]
    pub fn moved(self, by: i32) -> Seq {
        Seq(self.0.wrapping_add(by.cast_unsigned()))
    }
}

impl Add<u32> for Seq {
    type Output = Seq;
    fn add(self, n: u32) -> Seq {
        Seq(self.0.wrapping_add(n))
    }
}

impl AddAssign<u32> for Seq {
    fn add_assign(&mut self, n: u32) {
        *self = *self + n;
    }
}

impl Sub<u32> for Seq {
    type Output = Seq;
    fn sub(self, n: u32) -> Seq {
        Seq(self.0.wrapping_sub(n))
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Seq;

    #[test]
    fn comparisons_wrap() {
        for base in [0u32, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            let a = Seq(base);
            for ahead in [1u32, 2, 0x7fff_ffff] {
                assert!(a.lt(a + ahead), "{a} < {a}+{ahead}");
                assert!((a + ahead).gt(a), "{a}+{ahead} > {a}");
                assert_eq!((a + ahead).since(a), ahead);
            }
            assert!(a.le(a) && a.ge(a) && !a.lt(a) && !a.gt(a));
        }
    }
}
