//! The controller: of several one leads. It resolves selectors, gives new versions their routes, and publishes what
//! agents serve: slices of endpoints, Services, and `status.routes`.

mod service;
mod slices;
mod status;
