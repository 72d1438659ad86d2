//! The way back from a cancelled order: what was held for it, and whether it is held no more.

use events::CancelReason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Order, OrderEvent, OrderEvent as E, State as S};

/// How far something that was held for a cancelled order has got on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    Pending,
    /// Who held it has said that it is back.
    Done,
}

/// What has become of the money of a cancelled order. Only payment knows whether the provider was asked for it, and
/// says so in one last word; until then it may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Funds {
    /// Nothing is known to be held, of an order from before payment had a last word for all of them.
    Unheard,
    /// Held, or not yet told not to be.
    Pending,
    /// The provider holds nothing any more.
    Done,
    /// The provider never held anything.
    Never,
}

/// What was held for a cancelled order, as far as is known; of the stock `None`: nothing.
///
/// What is told to be back before it was told to be held is back: one service's news of an order come in order, so
/// that the other news is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Back {
    pub stock: Option<Return>,
    /// Authorised or captured.
    pub money: Funds,
}

impl Back {
    /// From what an order held when it was cancelled.
    pub(super) fn begin(stock: bool, money: Funds, stock_back: bool) -> Self {
        let stock = if stock_back { Some(Return::Done) } else { stock.then_some(Return::Pending) };
        Self { stock, money }
    }

    pub(super) fn after(self, event: &OrderEvent) -> Self {
        let Self { stock, money } = self;
        match event {
            OrderEvent::StockNoted { .. } => Self { stock: stock.or(Some(Return::Pending)), money },
            OrderEvent::PaymentNoted if money == Funds::Unheard => Self { stock, money: Funds::Pending },
            OrderEvent::StockReturned => Self { stock: Some(Return::Done), money },
            OrderEvent::MoneyReturned if money.is_open() => Self { stock, money: Funds::Done },
            OrderEvent::NothingHeld if money.is_open() => Self { stock, money: Funds::Never },
            _ => self,
        }
    }
}

impl Funds {
    /// Of an order that was not confirmed, `noted` if its payment was. A decline is payment's last word.
    pub(super) fn begin(reason: CancelReason, noted: bool, awaits_payment: bool) -> Self {
        match reason {
            CancelReason::PaymentDeclined => Self::Never,
            _ if noted || awaits_payment => Self::Pending,
            _ => Self::Unheard,
        }
    }

    /// Whether payment has a last word to say.
    fn is_open(self) -> bool {
        matches!(self, Self::Unheard | Self::Pending)
    }

    /// As it is shown: absent when there is nothing to be given back.
    pub fn shown(self) -> Option<Return> {
        match self {
            Self::Pending => Some(Return::Pending),
            Self::Done => Some(Return::Done),
            Self::Unheard | Self::Never => None,
        }
    }
}

impl Return {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Done].into_iter().find(|it| it.name() == name)
    }
}

impl Order {
    /// Inventory holds nothing for the order any more.
    pub(crate) fn note_stock_back(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Cancelled { back, .. } if back.stock != Some(Return::Done) => vec![E::StockReturned],
            _ => vec![],
        }
    }

    /// The provider holds nothing of the customer's for the order any more.
    pub(crate) fn note_money_back(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Cancelled { back, .. } if back.money.is_open() => vec![E::MoneyReturned],
            _ => vec![],
        }
    }

    /// The provider never held anything of the customer's for the order. What is captured it has held.
    pub(crate) fn note_nothing_held(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Cancelled { paid: false, back: Back { money: Funds::Pending, .. }, .. } => {
                vec![E::NothingHeld]
            }
            _ => vec![],
        }
    }
}
