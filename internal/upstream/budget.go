package upstream

import (
	"sync"
	"sync/atomic"

	"github.com/failsafe-go/failsafe-go"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
)

// budgetBurst is how many retries and hedges there may be before calls have paid for
// them, and how many can be saved up.
const budgetBurst = 10

// budget bounds retries and hedges to a share of all calls: each call pays in the
// share, each retry takes out 1 (Finagle's RetryBudget). failsafe-go's own budget
// bounds how many are under way at once, which lets calls that fail quickly be
// repeated without end; this one has its methods.
type budget struct {
	share float64

	mu     sync.Mutex
	tokens float64

	refused atomic.Int64
}

func newBudget(share float64) *budget {
	b := &budget{share: share}
	if share > 0 {
		b.tokens = budgetBurst
	}
	return b
}

func (b *budget) deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+b.share, budgetBurst)
}

// left is how many retries could be made now.
func (b *budget) left() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens
}

// Rate implements failsafe-go's budget: how much is used up, from 0 to 1.
func (b *budget) Rate() float64 { return 1 - b.left()/budgetBurst }

// TryAcquirePermit takes out a retry.
func (b *budget) TryAcquirePermit() bool { return b.take(1) }

// take takes out 1 if at least so many are left.
func (b *budget) take(least float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < least {
		return false
	}
	b.tokens--
	return true
}

// OnBudgetExceeded counts a retry or a hedge that was not made.
func (b *budget) OnBudgetExceeded(failsafebudget.ExecutionType, failsafe.ExecutionInfo) {
	b.refused.Add(1)
}

// RecordExecution and the two below have nothing to do: what ended was paid for.
func (b *budget) RecordExecution() {}

// ReleaseExecution does nothing.
func (b *budget) ReleaseExecution() {}

// ReleasePermit does nothing.
func (b *budget) ReleasePermit() {}
