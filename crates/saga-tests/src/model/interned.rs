use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, RwLock},
};

/// Values by number, equal ones under one: a state of the model is a handful of numbers.
pub(super) struct Interned<T>(RwLock<Table<T>>);

struct Table<T> {
    values: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u32>,
}

impl<T: Hash + Eq> Interned<T> {
    pub(super) fn new() -> Self {
        Self(RwLock::new(Table { values: Vec::new(), numbers: HashMap::new() }))
    }

    pub(super) fn number(&self, value: T) -> u32 {
        let mut table = self.0.write().expect("nobody has panicked");
        if let Some(known) = table.numbers.get(&value) {
            return *known;
        }
        let (number, value) = (table.values.len() as u32, Arc::new(value));
        table.values.push(Arc::clone(&value));
        table.numbers.insert(value, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> Arc<T> {
        Arc::clone(&self.0.read().expect("nobody has panicked").values[number as usize])
    }
}

/// What a pure function has answered before.
pub(super) struct Remembered<K, V>(RwLock<HashMap<K, V>>);

impl<K: Hash + Eq, V: Clone> Remembered<K, V> {
    pub(super) fn new() -> Self {
        Self(RwLock::new(HashMap::new()))
    }

    pub(super) fn or(&self, key: K, answer: impl FnOnce() -> V) -> V {
        if let Some(known) = self.0.read().expect("nobody has panicked").get(&key) {
            return known.clone();
        }
        let answer = answer();
        self.0.write().expect("nobody has panicked").insert(key, answer.clone());
        answer
    }
}
