//! The agencies' pull: what happened to violations since a cursor, complete and in order.
//!
//! What is given is decided in one snapshot before the first row is sent, so that the next cursor
//! stands in a header; the rows are then read and sent in short transactions.

use super::params::{Params, bad, flag, named, number, purpose, time};
use crate::auth::Identity;
use crate::cursor::{MAX_HELD, PullCursor};
use crate::error::{ApiError, Problem};
use crate::state::App;
use crate::view::violation::ChangeView;
use crate::view::{Format, json_line};
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;
use waywarden_model::Kind;
use waywarden_store::read::{Pull, PullPlan, Status, ViolationFilter};

const DEFAULT_LIMIT: usize = 10_000;
const MAX_LIMIT: usize = 100_000;
/// Rows read and sent at once.
const PAGE: usize = 500;
/// Pieces that wait for a slow reader.
const QUEUE: usize = 4;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PullQuery {
    /// From the pull before; from the beginning when left out.
    cursor: Option<String>,
    /// Only violations that stand so now.
    status: Option<String>,
    kind: Option<String>,
    /// Start at or after, RFC 3339.
    from: Option<String>,
    /// Start before.
    to: Option<String>,
    /// `jsonl` (default) or `csv`.
    format: Option<String>,
    /// `false` gives open, fresh and marked ones too; `true` when left out.
    settled: Option<String>,
    /// Changes looked at, 1 to 100000; 10000 when left out.
    limit: Option<String>,
    /// Why it is read; recorded. `operations` when left out.
    purpose: Option<String>,
}

/// Violations created, amended, closed, withdrawn or decided since a cursor. The next cursor is
/// in the header `Waywarden-Cursor`, and in the last line of JSON Lines; `Waywarden-More` says
/// whether to pull again at once.
#[utoipa::path(get, path = "/api/v1/changes", tag = "changes", params(PullQuery),
    responses((status = 200, body = ChangeView, content_type = "application/jsonl"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn pull(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
    Params(q): Params<PullQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (pull, format) = read(&app, &q)?;
    let permit = Arc::clone(&app.streams)
        .try_acquire_owned()
        .map_err(|_| ApiError::Busy)?;
    let plan = app.store.plan_pull(&pull).await?;
    let cursor = PullCursor {
        seen: plan.seen,
        held: plan.held.clone(),
    }
    .pack();
    let object = format!(
        "from {} to {cursor}: {} changes",
        q.cursor.as_deref().unwrap_or("the beginning"),
        plan.give.len()
    );
    let why = purpose(&headers, q.purpose.as_deref());
    app.record(&me.name, "pull", &object, &why).await?;
    let more = if plan.more { "true" } else { "false" };
    let names = [
        (header::CONTENT_TYPE.as_str(), format.media_type()),
        ("waywarden-cursor", cursor.as_str()),
        ("waywarden-more", more),
    ];
    let names = names.map(|(n, v)| (n.to_owned(), v.to_owned()));
    let body = stream(Arc::clone(&app), plan, cursor, format, permit);
    let mut response = Response::new(body);
    for (name, value) in names {
        let name = header::HeaderName::try_from(name).expect("names are lower-case ASCII");
        let value = header::HeaderValue::try_from(value).expect("cursors are digits and dashes");
        response.headers_mut().insert(name, value);
    }
    Ok(response.into_response())
}

fn read(app: &App, q: &PullQuery) -> Result<(Pull, Format), ApiError> {
    let cursor = match q.cursor.as_deref() {
        None => PullCursor::default(),
        Some(c) => PullCursor::parse(c).ok_or_else(|| bad("cursor", "is not one of ours"))?,
    };
    let settled = flag("settled", q.settled.as_deref())?.unwrap_or(true);
    let age = i64::try_from(app.config.settled_after.as_millis()).unwrap_or(i64::MAX / 4);
    let format = named("format", q.format.as_deref(), Format::from_name)?;
    let pull = Pull {
        filter: ViolationFilter {
            from: time("from", q.from.as_deref())?,
            to: time("to", q.to.as_deref())?,
            kind: named("kind", q.kind.as_deref(), Kind::from_name)?,
            status: named("status", q.status.as_deref(), Status::from_name)?,
            ..ViolationFilter::default()
        },
        after: cursor.seen,
        held: cursor.held,
        settled_before: settled.then(|| app.now().plus_millis(-age)),
        limit: number("limit", q.limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?,
        max_held: MAX_HELD,
    };
    Ok((pull, format.unwrap_or(Format::JsonLines)))
}

fn stream(
    app: Arc<App>,
    plan: PullPlan,
    cursor: String,
    format: Format,
    permit: OwnedSemaphorePermit,
) -> Body {
    let (send, receive) = mpsc::channel::<Result<Bytes, std::io::Error>>(QUEUE);
    tokio::spawn(async move {
        let _permit = permit;
        if let Err(e) = fill(&app, &plan, &cursor, format, &send).await {
            // A body that breaks off is seen by the reader as broken, not as complete.
            let _ = send.send(Err(std::io::Error::other(e.label()))).await;
        }
    });
    Body::from_stream(ReceiverStream::new(receive).map(|piece| piece))
}

async fn fill(
    app: &App,
    plan: &PullPlan,
    cursor: &str,
    format: Format,
    send: &mpsc::Sender<Result<Bytes, std::io::Error>>,
) -> waywarden_store::Result<()> {
    if format == Format::Csv && send.send(Ok(ChangeView::header().into())).await.is_err() {
        return Ok(());
    }
    for seqs in plan.give.chunks(PAGE) {
        let mut piece = Vec::new();
        for row in app.store.changes(seqs).await? {
            let view = ChangeView::from(&row);
            piece.extend(match format {
                Format::Csv => view.csv(),
                Format::JsonLines => json_line(&view),
            });
        }
        if send.send(Ok(piece.into())).await.is_err() {
            return Ok(()); // The reader has gone; its old cursor still holds.
        }
    }
    if format == Format::JsonLines {
        let end = serde_json::json!({
            "cursor": cursor,
            "more": plan.more,
            "held": plan.held.len(),
        });
        let _ = send.send(Ok(json_line(&end).into())).await;
    }
    Ok(())
}
