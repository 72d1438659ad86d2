//! The outside that accounts call: it remembers who asked, and does not always answer.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use engine::{Outside, Unanswered};
use uuid::Uuid;

use crate::account::{Input, Twist};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Answers,
    /// Does its work and does not say so.
    Unanswered,
    /// Is there, and has no answer yet.
    NotYet,
    /// Never returns.
    Hangs,
    /// Answers after a while.
    Slow,
    /// Answers what the decider has to call impossible.
    Nonsense,
}

/// Cheap to clone: all clones are one teller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Teller {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    calls: Vec<(Uuid, String)>,
}

impl Teller {
    pub(crate) fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// The calls so far, by their ids and in their order.
    pub(crate) fn calls(&self) -> Vec<(Uuid, String)> {
        self.state.lock().unwrap().calls.clone()
    }
}

impl Outside for Teller {
    type Input = Input;

    async fn perform(&self, id: Uuid, request: &str) -> Result<Input, Unanswered> {
        let mood = {
            let mut state = self.state.lock().unwrap();
            state.calls.push((id, request.to_owned()));
            state.mood
        };
        let answer = |twist| Input::Answered { account: request.to_owned(), twist };
        match mood {
            Mood::Answers => Ok(answer(Twist::Plain)),
            Mood::Slow => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(answer(Twist::Plain))
            }
            Mood::Nonsense => Ok(answer(Twist::Impossible)),
            Mood::Unanswered => Err(Unanswered::Down("the line is dead".into())),
            Mood::NotYet => Err(Unanswered::NotYet("come back later".into())),
            Mood::Hangs => std::future::pending().await,
        }
    }
}
