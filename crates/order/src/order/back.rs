//! The way back from a cancelled order: what was held for it, and whether it is held no more.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OrderEvent;

/// How far something that was held for a cancelled order has got on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    Pending,
    /// Who held it has said that it is back.
    Done,
}

/// What was held for a cancelled order, as far as is known; `None`: nothing.
///
/// What is told to be back before it was told to be held is back: one service's news of an order come in order, so
/// that the other news is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Back {
    pub stock: Option<Return>,
    /// Authorised or captured.
    pub money: Option<Return>,
}

impl Back {
    /// From what an order held when it was cancelled.
    pub(super) fn begin(stock: bool, money: bool, stock_back: bool) -> Self {
        let pending = |held: bool| held.then_some(Return::Pending);
        Self { stock: if stock_back { Some(Return::Done) } else { pending(stock) }, money: pending(money) }
    }

    pub(super) fn after(self, event: &OrderEvent) -> Self {
        let Self { stock, money } = self;
        match event {
            OrderEvent::StockNoted { .. } => Self { stock: stock.or(Some(Return::Pending)), money },
            OrderEvent::PaymentNoted => Self { stock, money: money.or(Some(Return::Pending)) },
            OrderEvent::StockReturned => Self { stock: Some(Return::Done), money },
            OrderEvent::MoneyReturned => Self { stock, money: Some(Return::Done) },
            _ => self,
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
