@0xb3c1f6d0a9e84c27;

interface Echo {
  small @0 (number :UInt64, text :Text) -> (number :UInt64, text :Text);
  bytes @1 (payload :Data) -> (payload :Data);
  next @2 (number :UInt64) -> (number :UInt64);
  # Only an object can be used before it has arrived, so a chain of calls is one of objects.
  step @3 (number :UInt64) -> (step :Step);
  # Calls the sink without end.
  items @4 (sink :Sink) -> ();
}

interface Step {
  next @0 () -> (step :Step);
  number @1 () -> (number :UInt64);
}

interface Sink {
  item @0 (number :UInt64, text :Text) -> stream;
}
