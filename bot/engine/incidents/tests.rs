//! What alerts, people and time do to incidents, over a real file and a clock that is moved by hand.
