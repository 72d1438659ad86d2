/// What the order service is told from outside.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "waybill-order", about = "The order service of Waybill")]
#[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8080")))]
pub struct Config {
    #[command(flatten)]
    pub chassis: service::Config,
}
