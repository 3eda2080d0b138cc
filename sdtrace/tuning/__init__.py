"""What tau, budget and policy this traffic wants, asked of a recorded trace. Every answer says what it rests on."""
