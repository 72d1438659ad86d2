use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use engine::{By, Which};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{FieldError, Problem, RequestContext};

/// Which dead letters are meant: exactly one of `id`, `key`, `type` and `all`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The key of this letter; for discarding the letter itself, which must be the first of its key.
    id: Option<i64>,
    /// This key.
    key: Option<String>,
    /// Every key whose first letter is of this type, with prefix and version or without.
    #[schema(example = "order.placed")]
    r#type: Option<String>,
    /// `true`: every key. Not for discarding.
    all: Option<bool>,
    /// Why, for the record; required for discarding.
    #[schema(max_length = 500)]
    reason: Option<String>,
    /// That of the answer before, to go on from there.
    cursor: Option<String>,
}

/// What is to be done about the letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Redrive,
    Discard,
}

/// A request in which nothing is wrong.
pub(super) struct Asked {
    pub(super) which: Which,
    pub(super) by: By,
    pub(super) after: Option<Vec<u8>>,
}

const LONGEST_REASON: usize = 500;

impl Request {
    /// What is asked for; otherwise all that is wrong with it.
    pub(super) fn checked(self, deed: Deed, context: RequestContext) -> Result<Asked, Problem> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: &str, detail: &str| {
            errors.push(FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() });
        };
        let reason = self.reason.as_deref().unwrap_or_default().trim();
        if deed == Deed::Discard && reason.is_empty() {
            wrong("/reason", "is required for discarding");
        } else if reason.chars().count() > LONGEST_REASON {
            wrong("/reason", "must not be longer than 500 characters");
        } else if reason.chars().any(char::is_control) {
            wrong("/reason", "must not contain control characters");
        }
        let after = self.cursor.as_ref().map(|it| BASE64_URL_SAFE_NO_PAD.decode(it)).transpose();
        if after.is_err() {
            wrong("/cursor", "is not the cursor of an answer");
        }
        let by =
            By { actor: context.actor.unwrap_or_else(|| "operator".to_owned()), reason: reason.to_owned() };
        let which = self.which(deed, &mut wrong);
        match (which, after) {
            (Some(which), Ok(after)) if errors.is_empty() => Ok(Asked { which, by, after }),
            _ => Err(Problem::invalid(errors)),
        }
    }

    /// The one selector; `None` when something is `wrong`.
    fn which(self, deed: Deed, wrong: &mut impl FnMut(&str, &str)) -> Option<Which> {
        if self.r#type.as_ref().is_some_and(|it| it.chars().any(char::is_control)) {
            wrong("/type", "must not contain control characters");
            return None;
        }
        if self.all == Some(false) {
            wrong("/all", "must be true or absent");
            return None;
        }
        if self.all.is_some() && deed == Deed::Discard {
            wrong("/all", "is not for discarding: choose by id, key or type");
            return None;
        }
        let id = self.id.map(|it| ("/id", Which::Id(it)));
        let key = self.key.map(|it| ("/key", Which::Key(it)));
        let r#type = self.r#type.map(|it| ("/type", Which::Type(it)));
        let all = self.all.map(|_| ("/all", Which::All));
        let mut given = [id, key, r#type, all].into_iter().flatten();
        let Some((_, which)) = given.next() else {
            let detail = match deed {
                Deed::Redrive => "must have one of id, key, type and all",
                Deed::Discard => "must have one of id, key and type",
            };
            wrong("", detail);
            return None;
        };
        let mut alone = true;
        for (pointer, _) in given {
            wrong(pointer, "is one selector too many");
            alone = false;
        }
        alone.then_some(which)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn context(actor: Option<&str>) -> RequestContext {
        RequestContext {
            correlation_id: uuid::Uuid::now_v7(),
            actor: actor.map(str::to_owned),
            traceparent: None,
            tracestate: None,
            baggage: None,
        }
    }

    fn checked(deed: Deed, request: Value) -> Result<Asked, Problem> {
        serde_json::from_value::<Request>(request).unwrap().checked(deed, context(None))
    }

    /// `faults`: pointer and detail of each.
    #[track_caller]
    fn check(deed: Deed, request: Value, faults: &[(&str, &str)]) {
        let problem = checked(deed, request.clone()).map(drop).unwrap_err();
        let problem = serde_json::to_value(&problem).unwrap();
        let faults: Vec<Value> =
            faults.iter().map(|(pointer, detail)| json!({"pointer": pointer, "detail": detail})).collect();
        assert_eq!((&problem["status"], &problem["errors"]), (&json!(422), &json!(faults)), "{request}");
    }

    #[test]
    fn one_selector_and_no_other_is_taken() {
        let which = |request| format!("{:?}", checked(Deed::Redrive, request).ok().unwrap().which);
        assert_eq!(which(json!({"id": 7})), "Id(7)");
        assert_eq!(which(json!({"key": "a"})), "Key(\"a\")");
        assert_eq!(which(json!({"type": "order.placed", "key": null})), "Type(\"order.placed\")");
        assert_eq!(which(json!({"all": true})), "All");
        check(Deed::Redrive, json!({}), &[("", "must have one of id, key, type and all")]);
        check(Deed::Redrive, json!({"all": false}), &[("/all", "must be true or absent")]);
        let one = "is one selector too many";
        check(Deed::Redrive, json!({"id": 7, "key": "a", "all": true}), &[("/key", one), ("/all", one)]);
        let control = "must not contain control characters";
        check(Deed::Redrive, json!({"type": "a\u{0}"}), &[("/type", control)]);
    }

    #[test]
    fn discarding_needs_a_reason_and_is_never_of_all() {
        let all = "is not for discarding: choose by id, key or type";
        let reason = "is required for discarding";
        check(Deed::Discard, json!({"all": true}), &[("/reason", reason), ("/all", all)]);
        check(Deed::Discard, json!({"id": 7, "reason": "  "}), &[("/reason", reason)]);
        let none = "must have one of id, key and type";
        check(Deed::Discard, json!({"reason": "broken"}), &[("", none)]);
        let asked = checked(Deed::Discard, json!({"id": 7, "reason": " broken "})).ok().unwrap();
        assert_eq!((asked.by.actor.as_str(), asked.by.reason.as_str()), ("operator", "broken"));
    }

    #[test]
    fn a_reason_is_a_line_of_text() {
        let long = "x".repeat(501);
        check(
            Deed::Redrive,
            json!({"all": true, "reason": long}),
            &[("/reason", "must not be longer than 500 characters")],
        );
        check(
            Deed::Redrive,
            json!({"all": true, "reason": "a\u{1b}[2J"}),
            &[("/reason", "must not contain control characters")],
        );
        assert_eq!(checked(Deed::Redrive, json!({"all": true})).ok().unwrap().by.reason, "");
    }

    #[test]
    fn a_cursor_is_bytes_and_the_actor_is_who_says_so() {
        let asked = checked(Deed::Redrive, json!({"all": true, "cursor": "_wA"})).ok().unwrap();
        assert_eq!(asked.after, Some(vec![0xff, 0]));
        check(
            Deed::Redrive,
            json!({"all": true, "cursor": "?"}),
            &[("/cursor", "is not the cursor of an answer")],
        );
        let request = Request { all: Some(true), ..Request::default() };
        let asked = request.checked(Deed::Redrive, context(Some("jane"))).ok().unwrap();
        assert_eq!(asked.by.actor, "jane");
    }
}
