//! All addresses, each in a file by its area, and the document that describes them.

mod alerts;
mod changes;
mod days;
mod live;
mod params;
mod registers;
mod reviews;
mod session;
mod status;
mod summaries;
mod transmission;
mod vehicles;
mod violations;

use crate::state::App;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Waywarden",
        description = "Vehicles, violations and their evidence. Times are RFC 3339 in UTC.",
        license(name = "Apache-2.0")
    ),
    modifiers(&Schemes),
    security(("token" = []), ("session" = []))
)]
struct Document;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let parts = api.components.get_or_insert_default();
        parts.add_security_scheme(
            "token",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
        parts.add_security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(crate::auth::COOKIE))),
        );
    }
}

pub(crate) fn all() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(status::healthz))
        .routes(routes!(status::readyz))
        .routes(routes!(status::metrics))
        .routes(routes!(status::openapi_json))
        .routes(routes!(status::status))
        .routes(routes!(session::enter))
        .routes(routes!(session::session, session::begin))
        .routes(routes!(session::end))
        .routes(routes!(vehicles::list))
        .routes(routes!(vehicles::track))
        .routes(routes!(alerts::list))
        .routes(routes!(violations::list))
        .routes(routes!(violations::one))
        .routes(routes!(reviews::decide))
        .routes(routes!(days::day_rows))
        .routes(routes!(days::driver_days))
        .routes(routes!(summaries::summaries))
        .routes(routes!(transmission::list))
        .routes(routes!(changes::pull))
        .routes(routes!(registers::geojson))
        .routes(routes!(live::live))
}

/// The OpenAPI document of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    all().into_openapi()
}
