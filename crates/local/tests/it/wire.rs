//! As much of Kafka's protocol as it takes to create a topic and to look for it.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn string(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// One request (header version 1: key, version, correlation id, no client id) and the body of its answer.
async fn call(broker: &str, key: i16, version: i16, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7], &[0xff, 0xff]].concat();
    let length = u32::try_from(head.len() + body.len()).map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(broker).await?;
    stream.write_all(&[&length.to_be_bytes(), &head[..], body].concat()).await?;
    let mut answer = vec![0; stream.read_u32().await?.try_into().unwrap_or(usize::MAX)];
    stream.read_exact(&mut answer).await?;
    Ok(answer.split_off(4))
}

/// Creates a topic of one partition; the error code, 0 if created (CreateTopics, version 2).
pub(crate) async fn create_topic(broker: &str, name: &str) -> std::io::Result<i16> {
    let topic = [&string(name)[..], &[0, 0, 0, 1], &[0, 1], &[0; 8]].concat();
    let body = [&[0, 0, 0, 1], &topic[..], &5000_i32.to_be_bytes(), &[0]].concat();
    let answer = call(broker, 19, 2, &body).await?;
    // Throttle time, number of topics, name, error code.
    let code = &answer[8 + string(name).len()..][..2];
    Ok(i16::from_be_bytes([code[0], code[1]]))
}

/// Whether the broker lists that topic among all (Metadata, version 4).
pub(crate) async fn has_topic(broker: &str, name: &str) -> std::io::Result<bool> {
    let answer = call(broker, 3, 4, &[0xff, 0xff, 0xff, 0xff, 0]).await?;
    let name = string(name);
    Ok(answer.windows(name.len()).any(|part| part == name))
}
