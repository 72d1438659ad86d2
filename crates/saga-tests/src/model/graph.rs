use std::collections::{HashMap, VecDeque};

use stateright::Model as _;

use super::saga::{Action, Saga, State};

/// All states of a model, and how they follow from each other without faults and without whims.
pub(super) struct Graph {
    pub(super) states: Vec<State>,
    /// Those where nothing is left to do.
    pub(super) ends: Vec<usize>,
    /// Where each state was first come to from.
    from: Vec<Option<(usize, Action)>>,
    /// What leads to each state.
    before: Vec<Vec<usize>>,
    /// How many steps lead on from each state.
    ahead: Vec<usize>,
}

impl Graph {
    pub(super) fn of(saga: &Saga) -> Self {
        let mut graph = Self { states: vec![], ends: vec![], from: vec![], before: vec![], ahead: vec![] };
        let mut numbers = HashMap::new();
        for state in saga.init_states() {
            numbers.insert(state, graph.add(state, None));
        }
        let mut actions = Vec::new();
        let mut at = 0;
        while at < graph.states.len() {
            let state = graph.states[at];
            saga.progress(&state, &mut actions);
            if actions.is_empty() {
                graph.ends.push(at);
            }
            let progress = actions.len();
            saga.whims(&state, &mut actions);
            for (index, action) in actions.drain(..).enumerate() {
                let Some(next) = saga.next_state(&state, action) else { continue };
                let next = *numbers.entry(next).or_insert_with(|| graph.add(next, Some((at, action))));
                if index < progress {
                    graph.before[next].push(at);
                    graph.ahead[at] += 1;
                }
            }
            at += 1;
        }
        graph
    }

    fn add(&mut self, state: State, from: Option<(usize, Action)>) -> usize {
        self.states.push(state);
        self.from.push(from);
        self.before.push(Vec::new());
        self.ahead.push(0);
        self.states.len() - 1
    }

    /// A state from which an order may never come to its end, whatever is done: one where nothing leads on, or that
    /// can be come back to for ever. Told by going back from the ends: a state is well when all that leads on from it
    /// leads to states that are.
    ///
    /// A checker's `eventually` would not do: it takes every join of two ways for an end of the second.
    pub(super) fn lost(&self) -> Option<usize> {
        let mut ahead = self.ahead.clone();
        let mut well = vec![false; self.states.len()];
        let mut found: VecDeque<usize> = self.ends.iter().copied().collect();
        while let Some(at) = found.pop_front() {
            well[at] = true;
            for before in &self.before[at] {
                ahead[*before] -= 1;
                if ahead[*before] == 0 {
                    found.push_back(*before);
                }
            }
        }
        let lost = |at: &usize| !well[*at];
        let dead = (0..self.states.len()).filter(lost).find(|at| self.ahead[*at] == 0);
        dead.or_else(|| (0..self.states.len()).find(lost))
    }

    /// A shortest way to a state.
    pub(super) fn way(&self, to: usize) -> Vec<Action> {
        let steps = std::iter::successors(self.from[to], |(at, _)| self.from[*at]);
        let mut way: Vec<Action> = steps.map(|it| it.1).collect();
        way.reverse();
        way
    }
}
