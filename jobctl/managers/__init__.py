"""Job managers: the local one, the no-op one, and the choice by mode."""
