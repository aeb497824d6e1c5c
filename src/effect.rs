//! tmp
use crate::event::*;
use crate::names::*;
pub enum Effect { Log(Record), Disk(Job), Pump(ConnId), Close { conn: ConnId, bye: Option<Bye> } }
pub trait Output {
    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnId>, events: &[Event]);
    fn answer(&mut self, to: ConnId, event: &Event);
    fn data(&mut self, to: ConnId, file: FileId, offset: u64, data: &[u8]);
    fn detail(&mut self, to: ConnId, detail: &Detail);
    fn reply(&mut self, to: ConnId, reply: &Reply);
    fn set(&mut self, to: ConnId, setting: Setting, on: bool);
    fn is_crowded(&self, to: ConnId) -> bool;
    fn effect(&mut self, effect: Effect);
}
