use tokio::sync::oneshot;

use crate::{kafka::KafkaProducer, memory::MemoryLog, record::Record};

/// Writes records in the order given, waiting for nobody.
pub enum Producer {
    Kafka(KafkaProducer),
    Memory(MemoryLog),
}

/// Some record of a batch was not written, and which of the others were is not known.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not delivered: {reason}")]
pub struct DeliveryError {
    pub reason: String,
    /// The broker will not take this record however often it is offered (too large, no such topic).
    pub refused: bool,
}

/// The fate of the records taken by one [`Producer::enqueue`].
#[must_use = "records are delivered only once their acknowledgement was awaited"]
pub struct Delivery {
    /// How many records were taken, from the first on. The rest found the local queue full.
    pub taken: usize,
    pub(crate) outcome: oneshot::Receiver<Result<(), DeliveryError>>,
}

impl Delivery {
    /// Resolves when the log holds all records taken, or as soon as one of them is known to have failed.
    /// After a failure the producer is to be dropped and the batch begun again at its first record: records
    /// behind the failed one may or may not have been written.
    ///
    /// Cancel-safe until it has resolved; it resolves once.
    pub async fn acknowledged(&mut self) -> Result<(), DeliveryError> {
        let abandoned = || DeliveryError { reason: "the producer was dropped".into(), refused: false };
        (&mut self.outcome).await.unwrap_or_else(|_| Err(abandoned()))
    }
}

impl Producer {
    /// Hands records over in order, as many as the local queue takes, without waiting for any.
    pub fn enqueue<'r>(&self, records: impl IntoIterator<Item = Record<'r>>) -> Delivery {
        match self {
            Self::Kafka(producer) => producer.enqueue(records),
            Self::Memory(log) => {
                let (done, outcome) = oneshot::channel();
                let written = log.append(records);
                let taken = *written.as_ref().unwrap_or(&0);
                let _ = done.send(written.map(|_| ()));
                Delivery { taken, outcome }
            }
        }
    }
}
