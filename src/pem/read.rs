//! DER read field by field, over crate `der`. Never generic, as its readers are: in the
//! executable each kind of field is read by one piece of code.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Error, ErrorKind, Reader, Result, SliceReader, Tag, Tagged};

pub(super) const CONTEXT_0: u8 = 0xa0;
pub(super) const CONTEXT_1: u8 = 0xa1;
/// `[1]`, implicit and not constructed.
pub(super) const CONTEXT_1_PRIMITIVE: u8 = 0x81;

/// The fields of a sequence, or of a whole file, one after the other. What follows the last
/// that is asked for is not looked at.
pub(super) struct Fields<'a>(SliceReader<'a>);

impl<'a> Fields<'a> {
    /// Of what stands side by side in `der`.
    pub(super) fn new(der: &'a [u8]) -> Result<Self> {
        Ok(Self(SliceReader::new(der)?))
    }

    /// Of the sequence that `der` is.
    pub(super) fn of_sequence(der: &'a [u8]) -> Result<Self> {
        Self::new(der)?.sequence()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// The tag of the next field, its first byte.
    pub(super) fn tag(&self) -> Option<u8> {
        self.0.peek_byte()
    }

    #[inline(never)]
    pub(super) fn any(&mut self) -> Result<AnyRef<'a>> {
        AnyRef::decode(&mut self.0)
    }

    /// The value of the next field, if its tag is `tag`; otherwise nothing is read.
    pub(super) fn tagged(&mut self, tag: u8) -> Result<Option<&'a [u8]>> {
        if self.tag() != Some(tag) {
            return Ok(None);
        }
        Ok(Some(self.any()?.value()))
    }

    pub(super) fn sequence(&mut self) -> Result<Self> {
        Self::new(self.value(Tag::Sequence)?)
    }

    pub(super) fn octet_string(&mut self) -> Result<&'a [u8]> {
        self.value(Tag::OctetString)
    }

    /// The bits of a BIT STRING that are whole bytes.
    pub(super) fn bit_string(&mut self) -> Result<&'a [u8]> {
        Ok(whole_bytes(self.value(Tag::BitString)?))
    }

    /// An INTEGER's significant bytes.
    pub(super) fn integer(&mut self) -> Result<&'a [u8]> {
        let bytes = self.value(Tag::Integer)?;
        Ok(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..])
    }

    /// An INTEGER that is positive and not huge.
    pub(super) fn number(&mut self) -> Result<u64> {
        let bytes = self.integer()?;
        if bytes.len() > size_of::<u64>() {
            return Err(Error::from(ErrorKind::Overlength));
        }
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn oid(&mut self) -> Result<ObjectIdentifier> {
        oid(self.any()?)
    }

    /// `AlgorithmIdentifier` (RFC 5280 section 4.1.1.2): its parameters may be missing.
    pub(super) fn algorithm(&mut self) -> Result<(ObjectIdentifier, Option<AnyRef<'a>>)> {
        let mut fields = self.sequence()?;
        let oid = fields.oid()?;
        let parameters = if fields.is_finished() { None } else { Some(fields.any()?) };
        Ok((oid, parameters))
    }

    #[inline(never)]
    fn value(&mut self, tag: Tag) -> Result<&'a [u8]> {
        let any = self.any()?;
        any.tag().assert_eq(tag)?;
        Ok(any.value())
    }
}

/// Of the value of a BIT STRING.
pub(super) fn whole_bytes(bit_string: &[u8]) -> &[u8] {
    // The first byte counts the bits at the end that are none.
    bit_string.get(1..).unwrap_or_default()
}

#[inline(never)]
pub(super) fn oid(any: AnyRef<'_>) -> Result<ObjectIdentifier> {
    any.tag().assert_eq(Tag::ObjectIdentifier)?;
    ObjectIdentifier::from_bytes(any.value()).map_err(|_| Error::from(ErrorKind::OidMalformed))
}
