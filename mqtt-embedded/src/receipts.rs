//! Who waits for the outcome of which command.

use mqtt_core::{Outcome, PacketIdentifier, ReasonCode};

/// What became of a command: the Server's answer, or the lack of one.
pub(crate) type Answer = Result<ReasonCode, Outcome>;

/// A place for an answer. Free is zero, so that memory that begins empty takes no flash.
#[derive(Clone, Copy, Debug, Default)]
#[repr(u8)]
pub enum Receipt {
    /// Nobody has it.
    #[default]
    Free,
    /// The command with this identifier has no outcome yet.
    #[doc(hidden)]
    Waiting(PacketIdentifier),
    /// It has one, which nobody has taken yet.
    #[doc(hidden)]
    Done(Result<ReasonCode, Outcome>),
}

/// Takes a place; `None`: all have owners.
pub(crate) fn open(receipts: &mut [Receipt], id: PacketIdentifier) -> Option<u8> {
    let index = vacant(receipts)?;
    *receipts.get_mut(index)? = Receipt::Waiting(id);
    u8::try_from(index).ok()
}

/// A place that is free.
pub(crate) fn vacant(receipts: &[Receipt]) -> Option<usize> {
    receipts.iter().take(usize::from(u8::MAX)).position(|receipt| matches!(receipt, Receipt::Free))
}

/// Tells the owner, if it is still there.
pub(crate) fn resolve(receipts: &mut [Receipt], id: PacketIdentifier, answer: Answer) {
    let of_it = |receipt: &&mut Receipt| matches!(receipt, Receipt::Waiting(waiting) if *waiting == id);
    if let Some(receipt) = receipts.iter_mut().find(of_it) {
        *receipt = Receipt::Done(answer);
    }
}

/// Takes the answer and gives the place back; `None`: not yet.
pub(crate) fn take(receipts: &mut [Receipt], index: u8) -> Option<Answer> {
    let receipt = receipts.get_mut(usize::from(index))?;
    let Receipt::Done(answer) = *receipt else { return None };
    *receipt = Receipt::Free;
    Some(answer)
}

/// The owner is gone.
pub(crate) fn close(receipts: &mut [Receipt], index: u8) {
    if let Some(receipt) = receipts.get_mut(usize::from(index)) {
        *receipt = Receipt::Free;
    }
}
